/** sysmgr-depends(1): lets a run script wait until the services that it needs are up. */
import { APPEAR_TIME, RUNDIR, SYSDIR } from "../config.ts";
import { Alarm } from "./alarm.ts";
import { basename, escapeBytes, getenv } from "./bytes.ts";
import { answeredHelp, complain, Failure, parseOptions, parseSeconds, UsageError } from "./cli.ts";
import { directories } from "./directories.ts";
import * as libc from "./libc.ts";
import * as proc from "./proc.ts";
import { Progress, waitingFor } from "./progress.ts";
import { isServiceName, ownProcess, RunDir } from "./rundir.ts";
import { isBeingStarted, type Status } from "./status.ts";
import { SysDir } from "./sysdir.ts";
import { formatAge } from "./transition.ts";

export const usage = `usage: sysmgr-depends [-hV] [-d SYSDIR] [-r RUNDIR] [-t SECONDS] [-f] SERVICE...

Wait until every SERVICE is up.

  -d SYSDIR    directory of services (environment SYSDIR; ${SYSDIR})
  -r RUNDIR    directory of state (environment RUNDIR; ${RUNDIR})
  -f           wait until it has run and exited with 0
  -t SECONDS   give up after this long (for ever)
  -h, --help   print this
  -V           print the version

Exit status: 0 all are up; 1 no such service, a cycle, or the time is over; 2 wrong usage.
`;

export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args, {
    boolean: ["h", "V", "f"],
    string: ["d", "r", "t"],
    alias: { h: "help", V: "version", d: "sysdir", r: "rundir", t: "timeout" },
  });
  if (answeredHelp(options, usage)) return 0;
  if (options.operands.length === 0) throw new UsageError("a service is needed");
  const limit = options.value("t");
  const timeout = limit === undefined ? Number.POSITIVE_INFINITY : parseSeconds(limit, "-t");

  const { sysdir, rundir: path } = directories(options);
  const rundir = RunDir.open(path);
  if (typeof rundir === "number")
    throw new Failure(`cannot open ${path}: ${libc.strerror(rundir)}`);
  const source = new SysDir(sysdir);
  const services = options.operands.map(basename);
  for (const name of services) {
    const exists = isServiceName(name) && (rundir.hasStatus(name) || source.has(name));
    if (!exists) throw new Failure(`${name}: no such service`);
  }
  if (rundir.supervisor() === null) throw new Failure(`no sysmgr works on ${path}`);
  const goal = options.has("f") ? FINISHED : UP;
  return await new Wait(rundir, services, goal, timeout).run();
}

const isUp = (status: Status | null) => status?.state === "up";

/** The last life that ended did so with 0; another one may run already. */
function hasFinished(status: Status | null): boolean {
  return status?.exit != null && "code" in status.exit && status.exit.code === 0;
}

/** What is waited for, and how it is called. */
type Goal = { readonly isMet: (status: Status | null) => boolean; readonly wish: string };
const UP: Goal = { isMet: isUp, wish: "up" };
const FINISHED: Goal = { isMet: hasFinished, wish: "done" };

class Wait {
  private readonly alarm = new Alarm();
  private rundir: RunDir;
  private readonly own = ownProcess();
  private readonly deadline: number;
  /** Since when our own service has had no status. */
  private missing: number | null = null;
  /** All services had a status once. */
  private seen = false;
  /** The service that we run in; null outside of any. */
  private self: string | null = null;
  private unmet: readonly string[];
  /** What our wait file says. */
  private written = "";
  private readonly progress = new Progress(() => waitingFor(this.unmet));

  constructor(
    rundir: RunDir,
    private readonly services: readonly string[],
    private readonly goal: Goal,
    private readonly timeout: number,
  ) {
    this.rundir = rundir;
    this.unmet = services;
    this.deadline = performance.now() + timeout;
  }

  async run(): Promise<number> {
    this.watchAll();
    this.self = await this.findSelf();
    if (this.self !== null) this.rundir.addDepends(this.self, this.services);
    const code = await this.untilMet();
    this.progress.end();
    if (this.self !== null) this.rundir.removeWaiter(this.self, this.own.pid);
    return code;
  }

  /** RUNDIR, or a service's directory in it, may have been made anew while we waited. */
  private watchAll(): void {
    if (!this.rundir.isCurrent()) {
      const rundir = RunDir.open(this.rundir.path);
      if (typeof rundir === "number") return;
      this.rundir.close();
      this.rundir = rundir;
      this.alarm.reset();
      this.written = "";
      if (this.self !== null) rundir.addDepends(this.self, this.services);
    }
    const own = this.self === null ? [] : [this.self];
    for (const name of [...this.services, ...own]) this.alarm.watchService(this.rundir, name);
    this.alarm.watch(".", this.rundir.watchPath("."), libc.IN.DELETE_SELF | libc.IN.MOVE_SELF);
  }

  private async untilMet(): Promise<number> {
    const appearBy = performance.now() + APPEAR_TIME;
    for (;;) {
      if (this.alarm.isBlind || !this.rundir.isCurrent()) this.watchAll();
      const unmet = this.services.filter((name) => !this.goal.isMet(this.rundir.status(name)));
      this.unmet = unmet;
      const [first] = unmet;
      if (first === undefined) return 0;
      if (this.self !== null && unmet.join("/") !== this.written) {
        this.rundir.writeWaiter(this.self, { process: this.own, services: unmet });
        this.written = unmet.join("/");
      }
      const cycle = this.self === null ? null : this.findCycle(this.self, unmet);
      if (cycle) return this.fail(`cycle: ${cycle.map(escapeBytes).join(" -> ")}`);
      // Our service was stopped, and whoever waits for us with it.
      if (this.self !== null && this.isOver(this.self)) return 1;
      // In SYSDIR, but this sysmgr (a runsyssv, say) has nothing to do with it.
      const unseen = unmet.find((name) => !this.rundir.isMet(name));
      if (unseen !== undefined && !this.seen && performance.now() > appearBy) {
        return this.fail(`${escapeBytes(unseen)}: no such service`);
      }
      this.seen ||= unseen === undefined;
      if (await this.alarm.ring(this.deadline)) continue;
      const none = this.rundir.isMet(first) ? "its status cannot be read" : "not seen yet";
      const state = this.rundir.status(first)?.state ?? none;
      const age = formatAge(this.timeout);
      return this.fail(`${escapeBytes(first)}: not ${this.goal.wish} after ${age} (${state})`);
    }
  }

  private fail(why: string): number {
    this.progress.end();
    complain("sysmgr-depends", why);
    return 1;
  }

  /**
   * The service in whose session we run. A daemon's hook is in it too; a process that has left
   * the session only inherits the variable, and says nothing about the service.
   */
  private async findSelf(): Promise<string | null> {
    const name = getenv("SYSMGR_SERVICE");
    if (name === undefined || !isServiceName(name)) return null;
    this.alarm.watchService(this.rundir, name);
    // Our own start may be so fresh that its pid is not written yet.
    while (this.isBeingStarted(name) && (await this.alarm.ring(this.deadline)));
    const status = this.rundir.status(name);
    return (status ? leadsOurSession(status) : this.isUnrecorded(name)) ? name : null;
  }

  private isBeingStarted(name: string): boolean {
    const status = this.rundir.status(name);
    return status !== null && isBeingStarted(status);
  }

  /** sysmgr could not write the status of what it started: the leader of our session is its child. */
  private isUnrecorded(name: string): boolean {
    const parent = proc.readStat(libc.getsid(0))?.ppid;
    return this.rundir.isMet(name) && parent === this.rundir.supervisor();
  }

  /**
   * Its life ended without us, or it was removed. A status that sysmgr could not write says nothing
   * of that; one that is made anew is soon back.
   */
  private isOver(name: string): boolean {
    const now = performance.now();
    const status = this.rundir.status(name);
    if (status) {
      this.missing = null;
      return !leadsOurSession(status);
    }
    if (!leaderLives()) return true;
    if (this.rundir.supervisor() !== null) {
      this.missing = null;
      return false;
    }
    this.missing ??= now;
    return now > this.missing + APPEAR_TIME;
  }

  /**
   * A way back to our own service along what others wait for. We wrote down our own wait before
   * we look, as they do: of two that begin at the same moment at least one sees the other's.
   */
  private findCycle(self: string, unmet: readonly string[]): string[] | null {
    const seen = new Set<string>();
    const search = (name: string, path: string[]): string[] | null => {
      if (name === self) return [...path, name];
      const status = this.rundir.status(name);
      if (seen.has(name) || isUp(status)) return null;
      seen.add(name);
      const main = status?.process ?? null;
      const calls = status && !main ? [] : this.rundir.waiters(name, main);
      const next = calls.flatMap((w) => w.services);
      return firstOf(next, (n) => search(n, [...path, name]));
    };
    return firstOf(unmet, (name) => search(name, [self]));
  }
}

function leadsOurSession(status: Status): boolean {
  return status.process?.pid === libc.getsid(0);
}

/** As long as we are in the session nobody else gets the pid of its leader. */
function leaderLives(): boolean {
  const leader = libc.getsid(0);
  return libc.kill(leader, 0) !== -libc.E.SRCH && proc.readStat(leader)?.state !== "Z";
}

function firstOf<T, R>(items: readonly T[], find: (item: T) => R | null): R | null {
  for (const item of items) {
    const found = find(item);
    if (found !== null) return found;
  }
  return null;
}
