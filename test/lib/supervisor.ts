/** A running sysmgr of a sandbox. */
import { expect } from "bun:test";
import { exists, list, read, touch } from "./files.ts";
import { children, descriptors, kill, lives, readStat } from "./processes.ts";
import { until } from "./until.ts";

export class Supervisor {
  /** Its open descriptors when it had nothing to do. */
  private baseline = 0;

  private constructor(
    readonly process: Bun.Subprocess,
    readonly pid: number,
    private readonly rundir: string,
    private readonly output: string,
  ) {}

  /**
   * Waits until it has written its pid and answers. The process may be a wrapper around it;
   * rundir is the path to look at, which may lead into its mount namespace.
   */
  static async ready(
    process: Bun.Subprocess,
    rundir: (pid: number) => string,
    output: string,
  ): Promise<Supervisor> {
    const own = () => {
      if (process.exitCode !== null) {
        throw new Error(`sysmgr exited with ${process.exitCode}: ${read(output)?.slice(-400)}`);
      }
      const pid = Number(read(`${rundir(process.pid)}/pid`) ?? 0);
      return (pid === process.pid || readStat(pid)?.ppid === process.pid) && pid;
    };
    const pid = await until(own, "sysmgr writes its pid");
    const supervisor = new Supervisor(process, pid, rundir(pid), output);
    await supervisor.answers();
    supervisor.rebase();
    return supervisor;
  }

  /** What it has open now is what it needs. */
  rebase(): void {
    this.baseline = descriptors(this.pid).size;
  }

  /** Everything that it, and its services, said. */
  get messages(): string {
    return read(this.output) ?? "";
  }

  /** How many lines it wrote that match. */
  count(pattern: RegExp): number {
    return this.messages.split("\n").filter((line) => pattern.test(line)).length;
  }

  async says(pattern: RegExp): Promise<void> {
    await until(() => pattern.test(this.messages), `sysmgr says ${pattern}`);
  }

  /** Waits until it has looked at everything: it works. */
  async answers(): Promise<void> {
    const box = `${this.rundir}/.control`;
    await until(() => exists(box), "sysmgr has a drop box");
    touch(`${box}/scan`);
    // It is renamed, acted on and removed: look for the first name first.
    const pending = () => exists(`${box}/scan`) || exists(`${box}/.scan`);
    await until(() => !pending(), "sysmgr answers");
  }

  signal(name: NodeJS.Signals): void {
    kill(this.pid, name);
  }

  /** Stops it as SIGSTOP does, until SIGCONT; under a tracer, too, which has a letter of its own. */
  async pause(): Promise<void> {
    this.signal("SIGSTOP");
    await until(() => readStat(this.pid)?.state.toUpperCase() === "T", "sysmgr is paused");
  }

  /** Waits until it has ended; resolves to its exit code, or that of what it was wrapped in. */
  async exited(): Promise<number> {
    await until(() => this.process.exitCode !== null || this.process.signalCode, "sysmgr exits");
    return await this.process.exited;
  }

  get ended(): boolean {
    return !lives(this.pid);
  }

  /** Ends as `kill -9` does: services live on. */
  async crash(): Promise<void> {
    this.signal("SIGKILL");
    await this.exited();
  }

  /** Stops it; it must say goodbye properly. Resolves to how long that took, in milliseconds. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    const began = performance.now();
    this.signal(signal);
    expect(await this.exited()).toBe(0);
    const took = performance.now() - began;
    expect(list(this.rundir)).toEqual([]);
    return took;
  }

  /** What must hold after whatever happened: it works, and keeps neither zombie nor descriptor. */
  async verify(): Promise<void> {
    await this.answers();
    const zombies = () => children(this.pid).filter((p) => p.state === "Z");
    await until(() => zombies().length === 0, "sysmgr has no zombie");
    const open = () => descriptors(this.pid);
    // A service that waits now is followed by a pidfd (two descriptors: the stream has its own).
    const waiting = () =>
      list(this.rundir).filter((name) => list(`${this.rundir}/${name}/waiting`).length > 0).length;
    await until(
      () => open().size <= this.baseline + 2 * waiting(),
      `sysmgr has ${this.baseline} descriptors`,
    ).catch((error) => {
      throw new Error(`${error.message}; open are ${[...open().values()].join(" ")}`);
    });
  }
}
