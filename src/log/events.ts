/**
 * Waiting for input and signals at the same time, without the event loop: handlers in JavaScript
 * run only when that turns, and it cannot wait for a file, nor leave input unread.
 *
 * The signals are held back and read from a descriptor. Threads that the runtime starts later
 * inherit our mask, and the one that it has started before takes none of them.
 */
import * as libc from "../libc.ts";

export class Events {
  private readonly fd: number;

  constructor(signals: readonly number[]) {
    libc.blockSignals(signals);
    this.fd = libc.signalDescriptor(signals);
  }

  /**
   * Waits until standard input can be read, a signal has come, or so many milliseconds are over
   * (-1: for ever). Signals come first, and all at once.
   */
  wait(milliseconds = -1): { readonly input: boolean; readonly signals: readonly number[] } {
    const [input, signalled] = libc.waitReadable(0, this.fd, milliseconds);
    return { input, signals: signalled ? this.signals() : [] };
  }

  private signals(): number[] {
    const found: number[] = [];
    for (let s = libc.takeSignal(this.fd); s > 0; s = libc.takeSignal(this.fd)) found.push(s);
    return found;
  }
}
