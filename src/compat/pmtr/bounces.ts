/** Restarts jobs every so often, by the age of their processes: over a crash no time is lost. */
import * as proc from "../../proc.ts";
import type { RunDir } from "../../rundir.ts";

/** setTimeout takes no more milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** The start time of a process is known in hundredths of a second. */
const COARSE = 20;

export class Bounces {
  private readonly armed = new Map<string, { readonly seconds: number; readonly timer: Timer }>();

  constructor(
    private readonly rundir: RunDir,
    private readonly restart: (name: string) => void,
  ) {}

  /** From now on a service is restarted so often; null: not at all. */
  set(name: string, seconds: number | null): void {
    if (this.armed.get(name)?.seconds === seconds) return;
    this.remove(name);
    if (seconds !== null) this.arm(name, seconds, this.age(name));
  }

  remove(name: string): void {
    clearTimeout(this.armed.get(name)?.timer);
    this.armed.delete(name);
  }

  close(): void {
    for (const name of [...this.armed.keys()]) this.remove(name);
  }

  private arm(name: string, seconds: number, age: number): void {
    const left = Math.max(0, seconds * 1000 - age);
    const timer = setTimeout(() => this.ring(name, seconds), Math.min(left, LONGEST));
    this.armed.set(name, { seconds, timer });
  }

  private ring(name: string, seconds: number): void {
    const age = this.age(name);
    const due = age + COARSE >= seconds * 1000;
    if (due) this.restart(name);
    this.arm(name, seconds, due ? 0 : age);
  }

  /** Milliseconds that it has been running; 0 when it does not. */
  private age(name: string): number {
    const process = this.rundir.status(name)?.process;
    return process ? proc.ageOf(process.started) : 0;
  }
}
