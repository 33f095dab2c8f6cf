/** svctl(1): a client of the file protocol; what it does, touch(1) and cat(1) can do. */
import { RUNDIR, SHUTDOWN_END, SVWAIT_SECONDS, SYSDIR } from "../config.ts";
import { Alarm, sharedWatcher } from "./alarm.ts";
import { absolutePath, basename, escapeBytes, getenv, parseCount } from "./bytes.ts";
import {
  answeredHelp,
  complain,
  err,
  Failure,
  type OptionSpec,
  type Options,
  out,
  parseOptions,
  parseSeconds,
  UsageError,
} from "./cli.ts";
import { directories } from "./directories.ts";
import { LETTERS } from "./letters.ts";
import * as libc from "./libc.ts";
import { E, IN } from "./libc.ts";
import * as proc from "./proc.ts";
import { Progress } from "./progress.ts";
import { columns, isUp, type Shown, statusLine, statusObject } from "./report.ts";
import {
  type Command,
  isServiceName,
  loggerOf,
  type Request,
  RunDir,
  SUPERVISOR,
  type SupervisorCommand,
} from "./rundir.ts";
import type { Status } from "./status.ts";
import { SysDir } from "./sysdir.ts";
import { formatAge } from "./transition.ts";

export const usage = `usage: svctl [-hV] [-d SYSDIR] [-r RUNDIR] [-t SECONDS] [-nq] OPERATION [SERVICE...]

Control services and wait until it is so.

  start, up      run it, and keep it running
  stop, down     stop it, and keep it stopped
  restart        stop it if it runs, start it
  try-restart    the same, but only if it runs
  once           run it, and do not restart it when it ends
  kill           stop it with KILL
  exit           stop it, then its logger
  force-stop force-restart
                 when the time is over, go on with KILL
  check          wait until it is as it is wanted
  status, stat   print one line for each SERVICE, or for all
  ready          succeed if each SERVICE, or all that are wanted, are up
  pause cont hup alarm int quit term usr1 usr2
                 send that signal (pause: STOP); reload is hup
  u d o x p c h a i q t 1 2 k
                 short for up down once exit and the signals (k: KILL)

  upgrade          replace the running sysmgr by the binary on disk
  shutdown [CODE]  stop everything; sysmgr exits with CODE (0)

  top              show all services, live; keys control them
  watch            print a line per event, from now on
  logs             print what the logger of a service has written
  graph plot       draw the dependencies, and what happened when
  metrics          print numbers for Prometheus
                   svctl top -h, and so on, tells more of each of these

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
  /** Nothing is to be done for one that does not run. */
  readonly skipsIdle?: boolean;
  /** Goes on to KILL when the time is over. */
  readonly forced?: boolean;
  /** Then the same is done to its logger. */
  readonly withLogger?: boolean;
};

const isRunning = (s: Status) => s.process !== null && s.state !== "stopping";
const isDown = (s: Status) => s.process === null && s.state === "down";
const isNewLife = (s: Status, before: Status | null) =>
  isRunning(s) &&
  s.process?.started !== undefined &&
  s.runs !== (before?.process ? before.runs : -1);
const isAsWanted = (s: Status) =>
  s.wanted === "up" ? isRunning(s) : s.wanted === "down" ? isDown(s) : isRunning(s) || s.runs > 0;

const signal = (command: Command): Operation => ({
  commands: [command],
  goal: () => true,
  wish: "signalled",
  needsProcess: true,
});
const start: Operation = { commands: ["up"], goal: isRunning, wish: "up" };
const stop: Operation = { commands: ["down"], goal: isDown, wish: "down" };
const restart: Operation = { commands: ["restart"], goal: isNewLife, wish: "restarted" };
const once: Operation = {
  commands: ["once"],
  goal: (s, before) => isRunning(s) || s.runs > (before?.runs ?? 0),
  wish: "up",
};
const exit: Operation = { ...stop, withLogger: true };

const OPERATIONS: Readonly<Record<string, Operation>> = {
  start,
  up: start,
  stop,
  down: stop,
  restart,
  "try-restart": { ...restart, skipsIdle: true },
  once,
  kill: { commands: ["down", "kill"], goal: isDown, wish: "down" },
  exit,
  shutdown: exit,
  "force-stop": { ...stop, forced: true },
  "force-restart": { ...restart, forced: true },
  check: { commands: [], goal: isAsWanted, wish: "as it is wanted" },
  reload: signal("hup"),
  x: exit,
  ...Object.fromEntries(
    (["pause", "cont", "hup", "alarm", "int", "quit", "term", "usr1", "usr2"] as const).map(
      (command) => [command, signal(command)],
    ),
  ),
};

/** By its word, or by the letter that sv(8) has for it. */
function operationOf(word: string): Operation | undefined {
  const command = Object.hasOwn(LETTERS, word) ? LETTERS[word] : undefined;
  // As a word it would be a stop; the letter only sends the signal.
  if (command === "kill") return signal(command);
  const name = command ?? word;
  return Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
}

/** Operations that only look: the others do not wait until these are loaded. */
const EYES = ["graph", "logs", "metrics", "plot", "top", "watch"];

const PLACES = { d: "sysdir", r: "rundir" };
const OPTIONS: OptionSpec = {
  boolean: ["h", "V", "n", "q", "force", "json"],
  string: ["d", "r", "t"],
  alias: { h: "help", V: "version", q: "quiet", ...PLACES, t: "timeout" },
};

/**
 * Such an operation, if that is what is asked for. It has options of its own; for the others not
 * even the command line is read twice.
 */
async function look(args: readonly string[]): Promise<number | null> {
  if (!args.some((arg) => EYES.includes(arg))) return null;
  const [word = ""] = parseOptions(args, { ...OPTIONS, stopEarly: true }).operands;
  if (!EYES.includes(word)) return null;
  const eye = (await import("./eyes/index.ts")).eyes[word];
  if (!eye) return null;
  const { boolean = [], string = [], alias = {} } = eye.spec;
  const options = parseOptions(args, {
    boolean: ["h", "V", ...boolean],
    string: ["d", "r", ...string],
    alias: { h: "help", V: "version", ...PLACES, ...alias },
  });
  if (answeredHelp(options, eye.usage)) return 0;
  const places = directories(options);
  const source = new SysDir(places.sysdir);
  const meant = (word: string) =>
    isServiceName(word) ? word : (nameAt(word, source) ?? basename(word));
  return await eye.run({ options, names: options.operands.slice(1).map(meant), ...places });
}

export async function main(args: string[]): Promise<number> {
  const looked = await look(args);
  if (looked !== null) return looked;
  const options = parseOptions(args, OPTIONS);
  if (answeredHelp(options, usage)) return 0;
  const [word, ...names] = options.operands;
  if (word === undefined) throw new UsageError("an operation is needed");
  const timeout = waitingTime(options);
  const [code, ...more] = names;
  // Of a service it is sv's word for exit.
  const exitCode = word === "shutdown" && more.length === 0 ? parseCount(code ?? "0") : null;
  const asksUpgrade = word === "upgrade";
  const asksStatus = word === "status" || word === "stat" || word === "ready";
  const operation = exitCode === null ? operationOf(word) : undefined;
  if (exitCode !== null && exitCode > 255) throw new UsageError(`not an exit code: ${code}`);
  if (!asksStatus && !asksUpgrade && exitCode === null && !operation)
    throw new UsageError(`unknown operation ${word}`);
  if (asksUpgrade && names.length > 0) throw new UsageError("upgrade takes no service");
  if (operation && names.length === 0) throw new UsageError(`${word}: a service is needed`);

  const { sysdir, rundir: path } = directories(options);
  const rundir = RunDir.open(path);
  if (typeof rundir === "number")
    throw new Failure(`cannot open ${path}: ${libc.strerror(rundir)}`);
  if (rundir.supervisor() === null) throw new Failure(`no sysmgr works on ${path}`);
  if (asksUpgrade) return await upgrade(rundir, options, timeout);
  if (exitCode !== null) return await shutDown(rundir, exitCode, options, timeout);
  const source = new SysDir(sysdir);
  const known = names.flatMap((name) => find(name, rundir, source) ?? []);
  const shown = () =>
    names.length > 0 ? known.flatMap((n) => withLogger(rundir, n)) : showAll(rundir, source);
  const done = operation
    ? await new Control(rundir, source, operation, options, timeout).all(known)
    : word === "ready"
      ? await areReady(rundir, shown, options)
      : report(shown(), options);
  return done && known.length === names.length ? 0 : 1;
}

function ask(rundir: RunDir, command: SupervisorCommand, content = ""): Request {
  const request = rundir.request(SUPERVISOR, command, content);
  if (typeof request !== "number") return request;
  const path = rundir.requestPath(SUPERVISOR, command);
  throw new Failure(`cannot write ${path}: ${libc.strerror(request)}`);
}

/** Asks sysmgr to stop everything and to end, and waits until it is gone. */
async function shutDown(
  rundir: RunDir,
  code: number,
  options: Options,
  timeout: number,
): Promise<number> {
  const alarm = new Alarm();
  alarm.watch("supervisor", rundir.watchPath("."), IN.DELETE);
  ask(rundir, "shutdown", `${code}\n`).close();
  if (options.has("n")) return 0;
  // A shutdown has a clock of its own.
  const longest = options.value("t") === undefined ? Math.max(timeout, SHUTDOWN_END) : timeout;
  const deadline = performance.now() + longest;
  const waited = () => waitingFor(runningIn(rundir));
  const progress = new Progress(waited, options.has("q"));
  try {
    while (rundir.supervisor() !== null) {
      if (!(await alarm.ring(deadline)))
        throw new Failure(`sysmgr still runs after ${formatAge(longest)}`);
    }
    return 0;
  } finally {
    progress.end();
  }
}

/** The services that run; then it is sysmgr itself that has to end. */
function runningIn(rundir: RunDir): string[] {
  const running = rundir
    .entries()
    .filter((name) => rundir.status(name)?.process)
    .sort();
  return running.length > 0 ? running : ["sysmgr"];
}

/** For people who look on. */
function waitingFor(names: Iterable<string>): string {
  return `waiting for ${[...names].join(", ")}`;
}

/** Asks sysmgr to become the binary on disk, and waits until it did or refused. */
async function upgrade(rundir: RunDir, options: Options, timeout: number): Promise<number> {
  const before = rundir.supervisorMark();
  const request = ask(rundir, "upgrade");
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

/** The service that is meant by a name or a path; complains when there is none. */
function find(word: string, rundir: RunDir, source: SysDir): string | null {
  const isKnown = (name: string | null): name is string =>
    name !== null && isServiceName(name) && (rundir.hasStatus(name) || source.has(name));
  const meant = isKnown(word) ? word : nameAt(word, source);
  const name = [meant, basename(word)].find(isKnown);
  if (name === undefined) complain("svctl", `${escapeBytes(basename(word))}: no such service`);
  return name ?? null;
}

/** What a path leads to, seen from the service that we may run in. */
function nameAt(path: string, source: SysDir): string | null {
  return source.nameAt(absolutePath(path), getenv("SYSMGR_SERVICE"));
}

/** Whatever is in SYSDIR, and what still runs though it is not. */
function showAll(rundir: RunDir, source: SysDir): Shown[] {
  const names = source.entries();
  const present = new Set(Array.isArray(names) ? names.filter(isServiceName) : []);
  return [...new Set([...present, ...rundir.entries()])]
    .sort()
    .flatMap((name) => withLogger(rundir, name))
    .filter((shown) => shown.status !== null || present.has(shown.name));
}

/** A service, and under it its logger. */
function withLogger(rundir: RunDir, name: string): Shown[] {
  const shown = show(rundir, name);
  return shown.status?.logger ? [shown, show(rundir, loggerOf(name))] : [shown];
}

function show(rundir: RunDir, name: string): Shown {
  const status = rundir.status(name);
  const waiters = status?.process ? rundir.waiters(name) : [];
  return { name, status, waitingFor: waiters.flatMap((w) => w.services) };
}

/**
 * For probes: are all up, as far as they are wanted, or done, if they are to run once? Says which
 * are not. It waits only if it is told how long.
 */
async function areReady(rundir: RunDir, shown: () => Shown[], options: Options): Promise<boolean> {
  const given = options.value("t");
  const deadline = performance.now() + (given === undefined ? 0 : parseSeconds(given, "-t"));
  const alarm = new Alarm();
  let waiting: Shown[] = [];
  const waited = () => waitingFor(waiting.map((s) => s.name));
  const progress = new Progress(waited, options.has("q"));
  for (;;) {
    if (given !== undefined) for (const { name } of shown()) alarm.watchService(rundir, name);
    waiting = shown().filter((s) => !isReady(s));
    if (waiting.length > 0 && (await alarm.ring(deadline))) continue;
    progress.end();
    if (!options.has("q")) printLines(waiting);
    return waiting.length === 0;
  }
}

function isReady({ status }: Shown): boolean {
  if (!status || status.wanted === "up") return status?.state === "up";
  const isDone = status.exit !== null && "code" in status.exit && status.exit.code === 0;
  return status.wanted === "down" || status.state === "up" || (!status.process && isDone);
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
  private readonly progress: Progress;
  /** How many services are meant, and those of them for which it is not done. */
  private count = 0;
  private readonly left = new Set<string>();

  constructor(
    private rundir: RunDir,
    private readonly source: SysDir,
    private readonly operation: Operation,
    private readonly options: Options,
    private readonly timeout: number,
  ) {
    this.deadline = performance.now() + timeout;
    const words = () =>
      `${this.count - this.left.size} of ${this.count} done, ${waitingFor(this.left)}`;
    this.progress = new Progress(words, options.has("q"));
  }

  async all(names: readonly string[]): Promise<boolean> {
    this.count = new Set(names).size;
    const problems = await Promise.all(names.map((name) => this.one(name)));
    this.progress.end();
    const failed = problems.filter((p) => p !== null);
    err(failed.map((p) => `svctl: ${p}\n`).join(""));
    return failed.length === 0;
  }

  /** What went wrong, or null. */
  private async one(name: string): Promise<string | null> {
    this.left.add(name);
    const problem = await this.act(name);
    this.left.delete(name);
    if (problem !== null || !this.operation.withLogger || this.options.has("n")) return problem;
    return this.rundir.status(name)?.logger ? await this.one(loggerOf(name)) : null;
  }

  private async act(name: string): Promise<string | null> {
    const alarm = new Alarm(this.watcher);
    const before = this.rundir.status(name);
    if (this.operation.needsProcess && !before?.process)
      return `${escapeBytes(name)}: is not running`;
    if (this.operation.skipsIdle && !before?.process) return null;
    for (const command of this.operation.commands) {
      const problem = await this.send(name, command, alarm, this.deadline);
      if (problem !== null) return problem;
    }
    if (this.options.has("n")) return null;
    const problem = await this.reach(name, before, alarm, this.deadline);
    if (problem !== null) return problem;
    this.progress.hide();
    if (!this.options.has("q")) printLines([show(this.rundir, name)]);
    return null;
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
    const { goal, wish, forced } = this.operation;
    const { check, notificationFd } = this.source.settings(name);
    const speaks = check || notificationFd !== null;
    /** Running is enough for a service that does not say when it is ready. */
    const isReady = (s: Status) => !s.process || !speaks || s.state === "up";
    for (;;) {
      this.refresh(name, alarm);
      const status = this.rundir.status(name);
      if (status && goal(status, before) && isReady(status)) return null;
      if (status?.state === "failed" && wish !== "down") {
        return `${escapeBytes(name)}: cannot start: ${escapeBytes(status.reason ?? "")}`;
      }
      if (await alarm.ring(deadline)) continue;
      const force = forced || (wish === "down" && this.options.has("force"));
      if (force && deadline === this.deadline) {
        return await this.force(name, before, alarm);
      }
      return `${escapeBytes(name)}: not ${wish} after ${formatAge(this.timeout)}${whyNot(status, wish)}`;
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

function whyNot(status: Status | null, wish: string): string {
  const ready = status?.state === "starting" && wish !== "down" ? "is not ready" : "still runs";
  if (status?.process) return ` (pid ${status.process.pid} ${ready})`;
  if (status?.next == null) return "";
  return ` (next start in ${formatAge(Math.max(0, status.next - Date.now()))})`;
}
