/**
 * Waiting for input and signals at the same time, without the event loop: handlers in JavaScript
 * run only when that turns, and it cannot wait for a file, nor leave input unread.
 *
 * The signals are held back and read from a descriptor. That takes all threads: a signal goes to
 * any that lets it through, and kills us there. The runtime has started some before our first
 * line, so we begin once more, with the mask that they all inherit (4 ms).
 */
import { commandLine, environment } from "../bytes.ts";
import * as libc from "../libc.ts";

export class Events {
  private readonly fd: number;
  private readonly set: libc.PollSet;

  /** The first time it does not return: to be called before anything is done. */
  constructor(program: string, signals: readonly number[]) {
    if (!libc.blockSignals(signals)) {
      libc.execve("/proc/self/exe", commandLine(), environment());
    }
    // The kernel has called us after the path that we were begun from: "exe".
    libc.setProcessName(program);
    this.fd = libc.signalDescriptor(signals);
    this.set = new libc.PollSet([{ fd: 0 }, { fd: this.fd }]);
  }

  /**
   * Waits until standard input can be read, a signal has come, or so many milliseconds are over
   * (-1: for ever). Signals come first, and all at once.
   */
  wait(milliseconds = -1): { readonly input: boolean; readonly signals: readonly number[] } {
    const [input = false, signalled] = this.set.wait(milliseconds);
    return { input, signals: signalled ? this.signals() : [] };
  }

  private signals(): number[] {
    const found: number[] = [];
    for (let s = libc.takeSignal(this.fd); s > 0; s = libc.takeSignal(this.fd)) found.push(s);
    return found;
  }
}
