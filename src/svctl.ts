/** svctl(1): a client of the file protocol; what it does, touch(1) and cat(1) can do. */
import { RUNDIR, SVWAIT_SECONDS, SYSDIR } from "../config.ts";
import { Alarm, sharedWatcher } from "./alarm.ts";
import { basename, escapeBytes, getenv } from "./bytes.ts";
import {
  answeredHelp,
  complain,
  err,
  Failure,
  type Options,
  out,
  parseOptions,
  parseSeconds,
  UsageError,
} from "./cli.ts";
import { directories } from "./directories.ts";
import * as libc from "./libc.ts";
import { E, IN } from "./libc.ts";
import * as proc from "./proc.ts";
import { columns, isUp, type Shown, statusLine, statusObject } from "./report.ts";
import { type Command, isServiceName, type Request, RunDir, SUPERVISOR } from "./rundir.ts";
import type { Status } from "./status.ts";
import { SysDir } from "./sysdir.ts";
import { formatAge } from "./transition.ts";

export const usage = `usage: svctl [-hV] [-d SYSDIR] [-r RUNDIR] [-t SECONDS] [-nq] OPERATION [SERVICE...]

Control services and wait until it is so.

  start, up      run it, and keep it running
  stop, down     stop it, and keep it stopped
  restart        stop it if it runs, start it
  once           run it, and do not restart it when it ends
  kill           stop it with KILL
  status, stat   print one line for each SERVICE, or for all
  upgrade        replace the running sysmgr by the binary on disk
  pause cont hup alarm int quit term usr1 usr2
                 send that signal (pause: STOP); reload is hup

  -d SYSDIR      directory of services (environment SYSDIR; ${SYSDIR})
  -r RUNDIR      directory of state (environment RUNDIR; ${RUNDIR})
  -t SECONDS     wait this long (environment SVWAIT; ${SVWAIT_SECONDS})
  -n             do not wait
  -q             print errors only
  --force        stop: when the time is over, stop with KILL
  --json         status: print a JSON array
  -h, --help     print this
  -V             print the version

Exit status: 0 done, or all UP; 1 not done, or some DOWN; 2 wrong usage.
`;

/** What is to become of a service: the commands to send, in order, and how to tell that it is so. */
type Operation = {
  readonly commands: readonly Command[];
  readonly goal: (now: Status, before: Status | null) => boolean;
  /** What it is called in `not ... after 7 s`. */
  readonly wish: string;
  /** Makes sense only for a service that runs. */
  readonly needsProcess?: boolean;
};

const isRunning = (s: Status) => s.process !== null && s.state !== "stopping";
const isDown = (s: Status) => s.process === null && s.state === "down";
const isNewLife = (s: Status, before: Status | null) =>
  isRunning(s) &&
  s.process?.started !== undefined &&
  s.runs !== (before?.process ? before.runs : -1);

const signal = (command: Command): Operation => ({
  commands: [command],
  goal: () => true,
  wish: "signalled",
  needsProcess: true,
});
const start: Operation = { commands: ["up"], goal: isRunning, wish: "up" };
const stop: Operation = { commands: ["down"], goal: isDown, wish: "down" };

const OPERATIONS: Readonly<Record<string, Operation>> = {
  start,
  up: start,
  stop,
  down: stop,
  restart: { commands: ["restart"], goal: isNewLife, wish: "restarted" },
  once: {
    commands: ["once"],
    goal: (s, before) => isRunning(s) || s.runs > (before?.runs ?? 0),
    wish: "up",
  },
  kill: { commands: ["down", "kill"], goal: isDown, wish: "down" },
  reload: signal("hup"),
  ...Object.fromEntries(
    (["pause", "cont", "hup", "alarm", "int", "quit", "term", "usr1", "usr2"] as const).map(
      (command) => [command, signal(command)],
    ),
  ),
};

export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args, {
    boolean: ["h", "V", "n", "q", "force", "json"],
    string: ["d", "r", "t"],
    alias: { h: "help", V: "version", q: "quiet", d: "sysdir", r: "rundir", t: "timeout" },
  });
  if (answeredHelp(options, usage)) return 0;
  const [word, ...names] = options.operands;
  if (word === undefined) throw new UsageError("an operation is needed");
  const timeout = waitingTime(options);
  const asksUpgrade = word === "upgrade";
  const asksStatus = word === "status" || word === "stat";
  const operation = Object.hasOwn(OPERATIONS, word) ? OPERATIONS[word] : undefined;
  if (!asksStatus && !asksUpgrade && !operation) throw new UsageError(`unknown operation ${word}`);
  if (asksUpgrade && names.length > 0) throw new UsageError("upgrade takes no service");
  if (operation && names.length === 0) throw new UsageError(`${word}: a service is needed`);

  const { sysdir, rundir: path } = directories(options);
  const rundir = RunDir.open(path);
  if (typeof rundir === "number")
    throw new Failure(`cannot open ${path}: ${libc.strerror(rundir)}`);
  if (rundir.supervisor() === null) throw new Failure(`no sysmgr works on ${path}`);
  if (asksUpgrade) return await upgrade(rundir, options, timeout);
  const source = new SysDir(sysdir);
  const known = names.map(basename).filter((name) => isKnown(name, rundir, source));
  const done = operation
    ? await new Control(rundir, operation, options, timeout).all(known)
    : report(
        names.length > 0 ? known.map((n) => show(rundir, n)) : showAll(rundir, source),
        options,
      );
  return done && known.length === names.length ? 0 : 1;
}

/** Asks sysmgr to become the binary on disk, and waits until it did or refused. */
async function upgrade(rundir: RunDir, options: Options, timeout: number): Promise<number> {
  const before = rundir.supervisorMark();
  const request = rundir.request(SUPERVISOR, "upgrade");
  if (typeof request === "number") {
    const path = rundir.requestPath(SUPERVISOR, "upgrade");
    throw new Failure(`cannot write ${path}: ${libc.strerror(request)}`);
  }
  if (options.has("n")) return 0;
  const alarm = new Alarm();
  alarm.watch("upgrade", request.watchPath, IN.ATTRIB);
  const deadline = performance.now() + timeout;
  while (!request.isAnswered()) {
    if (!(await alarm.ring(deadline))) throw new Failure(`no answer after ${formatAge(timeout)}`);
  }
  if (rundir.supervisorMark() !== before) return 0;
  throw new Failure("the upgrade was refused: sysmgr's messages say why");
}

/** How long to wait, in milliseconds: -t, else SVWAIT, else the default. */
function waitingTime(options: Options): number {
  const given = options.value("t");
  if (given !== undefined) return parseSeconds(given, "-t");
  const inherited = getenv("SVWAIT");
  return inherited ? parseSeconds(inherited, "SVWAIT") : SVWAIT_SECONDS * 1000;
}

function isKnown(name: string, rundir: RunDir, source: SysDir): boolean {
  if (isServiceName(name) && (rundir.hasStatus(name) || source.has(name))) return true;
  complain("svctl", `${escapeBytes(name)}: no such service`);
  return false;
}

/** Whatever is in SYSDIR, and what still runs though it is not. */
function showAll(rundir: RunDir, source: SysDir): Shown[] {
  const names = source.names();
  const present = new Set(Array.isArray(names) ? names.filter(isServiceName) : []);
  return [...new Set([...present, ...rundir.services()])]
    .sort()
    .map((name) => show(rundir, name))
    .filter((shown) => shown.status !== null || present.has(shown.name));
}

function show(rundir: RunDir, name: string): Shown {
  const status = rundir.status(name);
  const waiters = status?.process ? rundir.waiters(name) : [];
  return { name, status, waitingFor: waiters.flatMap((w) => w.services) };
}

/** Prints the status of each; true when all are UP. */
function report(shown: readonly Shown[], options: Options): boolean {
  if (options.has("json")) out(json(shown.map(statusObject)));
  else if (!options.has("q")) printLines(shown);
  return shown.every(isUp);
}

function printLines(shown: readonly Shown[]): void {
  const terminal = libc.isTerminal(1);
  const style = {
    width: terminal ? Math.max(0, ...shown.map((s) => columns(escapeBytes(s.name)))) : 0,
    colour: terminal && !getenv("NO_COLOR"),
  };
  const moment = { now: Date.now(), uptime: proc.ageOf(0) };
  out(shown.map((s) => `${statusLine(s, style, moment)}\n`).join(""));
}

/** One object per line: a JSON array that is also fit for grep; text in, bytes out. */
function json(objects: readonly unknown[]): string {
  const lines = objects.map((o) => JSON.stringify(o)).join(",\n");
  return Buffer.from(`[${lines}]\n`, "utf8").toString("latin1");
}

/** Carries out one operation on services, all at the same time. */
class Control {
  private readonly watcher = sharedWatcher();
  private readonly deadline: number;

  constructor(
    private rundir: RunDir,
    private readonly operation: Operation,
    private readonly options: Options,
    private readonly timeout: number,
  ) {
    this.deadline = performance.now() + timeout;
  }

  async all(names: readonly string[]): Promise<boolean> {
    const problems = await Promise.all(names.map((name) => this.one(name)));
    const failed = problems.filter((p) => p !== null);
    err(failed.map((p) => `svctl: ${p}\n`).join(""));
    return failed.length === 0;
  }

  /** What went wrong, or null. */
  private async one(name: string): Promise<string | null> {
    const alarm = new Alarm(this.watcher);
    const before = this.rundir.status(name);
    if (this.operation.needsProcess && !before?.process)
      return `${escapeBytes(name)}: is not running`;
    for (const command of this.operation.commands) {
      const problem = await this.send(name, command, alarm, this.deadline);
      if (problem !== null) return problem;
    }
    if (this.options.has("n")) return null;
    const problem = await this.reach(name, before, alarm, this.deadline);
    if (problem === null && !this.options.has("q")) printLines([show(this.rundir, name)]);
    return problem;
  }

  /**
   * Puts the command into the drop box and waits for the answer. It is watched for afterwards:
   * sysmgr works meanwhile, and what was missed is seen by looking.
   */
  private async send(
    name: string,
    command: Command,
    alarm: Alarm,
    deadline: number,
  ): Promise<string | null> {
    let request = this.rundir.request(name, command);
    // A service that is so new that sysmgr has not made its directory yet.
    while (request === -E.NOENT) {
      alarm.watchService(this.rundir, name);
      request = this.rundir.request(name, command);
      if (request === -E.NOENT && !(await alarm.ring(deadline))) break;
    }
    if (typeof request === "number") {
      const path = escapeBytes(this.rundir.requestPath(name, command));
      return `cannot write ${path}: ${libc.strerror(request)}`;
    }
    if (this.options.has("n")) return null;
    alarm.watchService(this.rundir, name);
    alarm.watch(command, request.watchPath, IN.ATTRIB);
    while (!request.isAnswered()) {
      if (!(await alarm.ring(deadline))) return this.unanswered(name, request);
    }
    alarm.forget(command);
    request.close();
    return null;
  }

  private unanswered(name: string, request: Request): string {
    request.close();
    return `${escapeBytes(name)}: no answer after ${formatAge(this.timeout)}`;
  }

  /** Waits until it is really so. */
  private async reach(
    name: string,
    before: Status | null,
    alarm: Alarm,
    deadline: number,
  ): Promise<string | null> {
    const { goal, wish } = this.operation;
    for (;;) {
      this.refresh(name, alarm);
      const status = this.rundir.status(name);
      if (status && goal(status, before)) return null;
      if (status?.state === "failed" && wish !== "down") {
        return `${escapeBytes(name)}: cannot start: ${escapeBytes(status.reason ?? "")}`;
      }
      if (await alarm.ring(deadline)) continue;
      if (wish === "down" && this.options.has("force") && deadline === this.deadline) {
        return await this.force(name, before, alarm);
      }
      return `${escapeBytes(name)}: not ${wish} after ${formatAge(this.timeout)}${whyNot(status)}`;
    }
  }

  /** RUNDIR may have been made anew while we waited. */
  private refresh(name: string, alarm: Alarm): void {
    if (!alarm.isBlind) return;
    const fresh = this.rundir.isCurrent() ? this.rundir : RunDir.open(this.rundir.path);
    if (typeof fresh === "number") return;
    this.rundir = fresh;
    alarm.watchService(fresh, name);
  }

  private async force(name: string, before: Status | null, alarm: Alarm): Promise<string | null> {
    const later = performance.now() + this.timeout;
    const problem = await this.send(name, "kill", alarm, later);
    return problem ?? (await this.reach(name, before, alarm, later));
  }
}

function whyNot(status: Status | null): string {
  if (status?.process) return ` (pid ${status.process.pid} still runs)`;
  if (status?.next == null) return "";
  return ` (next start in ${formatAge(Math.max(0, status.next - Date.now()))})`;
}
