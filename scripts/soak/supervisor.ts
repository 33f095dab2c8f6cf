// The sysmgr of a soak: started, killed, upgraded, and started again.
import { appendFileSync, closeSync, openSync, readFileSync, statSync } from "node:fs";
import type { History } from "./history.ts";
import { environment, signal, uptime } from "./proc.ts";
import type { Random } from "./random.ts";
import type { Tally } from "./report.ts";

export interface Places {
  readonly root: string;
  readonly sysdir: string;
  readonly rundir: string;
  readonly bin: string;
  readonly log: string;
}

const READY_SECONDS = 15;
const UPGRADE_SECONDS = 15;

export class Supervisor {
  private child: Bun.Subprocess | undefined;
  /** While it is true an end of sysmgr is our doing. */
  private mayEnd = false;
  /** Counts our deeds, so that one that waits sees that another came between. */
  private deeds = 0;

  constructor(
    private readonly places: Places,
    private readonly history: History,
    private readonly tally: Tally,
    private readonly random: Random,
  ) {}

  get pid(): number {
    if (this.child === undefined) throw new Error("sysmgr was not started");
    return this.child.pid;
  }

  start(): void {
    const { bin, sysdir, rundir, root, log } = this.places;
    const fd = openSync(log, "a");
    const child = Bun.spawn([`${bin}/sysmgr`, "-v", "-d", sysdir, "-r", rundir], {
      env: environment(root),
      cwd: root,
      stdio: ["ignore", fd, fd],
    });
    closeSync(fd);
    this.child = child;
    this.mayEnd = false;
    this.history.event(`sysmgr ${child.pid} started`);
    void child.exited.then(() => this.ended(child));
  }

  /** Waits until it has taken the lock and written its pid. */
  async ready(): Promise<void> {
    const deadline = uptime() + READY_SECONDS;
    while (this.written() !== this.pid) {
      if (uptime() > deadline) throw new Error("sysmgr does not write its pid");
      await Bun.sleep(10);
    }
  }

  /** Ends it for good; the exit code. */
  async stop(): Promise<number | null> {
    this.mayEnd = true;
    const child = this.child;
    child?.kill("SIGTERM");
    const late = Bun.sleep(15_000).then(() => null);
    return await Promise.race([child?.exited ?? null, late]);
  }

  /** Does one evil thing to it. */
  async harm(kinds: readonly Harm[]): Promise<void> {
    const kind = this.random.pick(kinds);
    this.tally.fault(HARMS[kind]);
    this.history.event(HARMS[kind]);
    this.deeds++;
    switch (kind) {
      case "kill":
        return await this.kill();
      case "kills":
        await this.kill();
        await Bun.sleep(this.random.between(0, 120));
        return await this.kill();
      case "late":
        return await this.kill(this.random.between(50, 700));
      case "upgrade":
        await this.ready();
        return await this.upgraded(() => signal(this.pid, "SIGUSR2"));
      case "svctl":
        await this.ready();
        return await this.upgraded(() => this.askUpgrade());
      case "upgrade-kill":
        await this.ready();
        signal(this.pid, "SIGUSR2");
        await Bun.sleep(this.random.between(0, 250));
        return await this.kill();
      case "pause":
        signal(this.pid, "SIGSTOP");
        await Bun.sleep(this.random.between(50, 800));
        signal(this.pid, "SIGCONT");
        return;
      case "alarm":
        await this.ready();
        signal(this.pid, "SIGALRM");
        return;
    }
  }

  /** kill -9, and another one so many milliseconds later. */
  private async kill(pause = 0): Promise<void> {
    const child = this.child;
    this.mayEnd = true;
    child?.kill("SIGKILL");
    await child?.exited;
    await Bun.sleep(pause);
    this.start();
  }

  private async upgraded(ask: () => void): Promise<void> {
    const [before, deeds, child] = [this.mark(), this.deeds, this.child];
    ask();
    const deadline = uptime() + UPGRADE_SECONDS;
    while (this.mark() === before && this.deeds === deeds && this.child === child) {
      if (uptime() > deadline) return this.tally.violation(null, "an upgrade had no effect");
      await Bun.sleep(20);
    }
  }

  private askUpgrade(): void {
    const { bin, rundir, root } = this.places;
    Bun.spawn([`${bin}/svctl`, "-r", rundir, "-t", "15", "upgrade"], {
      env: environment(root),
      stdio: ["ignore", "ignore", "ignore"],
    });
  }

  /** Changes with every supervisor that begins. */
  private mark(): string {
    try {
      const { ino, mtimeMs } = statSync(`${this.places.rundir}/pid`);
      return `${ino} ${mtimeMs}`;
    } catch {
      return "";
    }
  }

  private written(): number {
    try {
      return Number(readFileSync(`${this.places.rundir}/pid`, "latin1"));
    } catch {
      return 0;
    }
  }

  private ended(child: Bun.Subprocess): void {
    const how = child.signalCode ?? `exit ${child.exitCode}`;
    this.history.event(`sysmgr ${child.pid} ended: ${how}`);
    appendFileSync(this.places.log, `-- ${uptime()} sysmgr ${child.pid} ended: ${how}\n`);
    if (this.mayEnd || child !== this.child) return;
    this.tally.violation(null, `sysmgr ended by itself: ${how}`);
    this.start();
  }
}

const HARMS = {
  kill: "sysmgr killed with -9",
  kills: "sysmgr killed with -9 twice",
  late: "sysmgr killed with -9, started later",
  upgrade: "sysmgr upgraded by SIGUSR2",
  svctl: "sysmgr upgraded by svctl",
  "upgrade-kill": "sysmgr killed with -9 in an upgrade",
  pause: "sysmgr stopped for a while (SIGSTOP)",
  alarm: "sysmgr told to scan (SIGALRM)",
} as const;
export type Harm = keyof typeof HARMS;
export const ALL_HARMS = Object.keys(HARMS) as Harm[];
