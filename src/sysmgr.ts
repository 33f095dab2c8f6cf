/** sysmgr(8): keeps the services of SYSDIR running and writes down in RUNDIR what it does. */
import * as config from "../config.ts";
import { escapeBytes, getenv, parseCount } from "./bytes.ts";
import { answeredHelp, Failure, type Options, parseOptions, UsageError } from "./cli.ts";
import { directories } from "./directories.ts";
import {
  becomeSuccessor,
  cleanEnvironment,
  closeInherited,
  enterRuntimeEnvironment,
  findProgram,
  holdSignals,
  ownPath,
  readHandover,
  runtimeEnvironment,
  serviceFileLimits,
} from "./environment.ts";
import { groupId } from "./group.ts";
import * as libc from "./libc.ts";
import { E, SIGNALS } from "./libc.ts";
import { Log } from "./log.ts";
import * as proc from "./proc.ts";
import { signalExactly, whenEnded } from "./process.ts";
import {
  COMMANDS,
  type Command,
  type FoundMarker,
  isServiceName,
  loggedBy,
  loggerOf,
  type OnEvent,
  RUNDIR_FD,
  RunDir,
  SUPERVISOR,
  SUPERVISOR_COMMANDS,
  type Tap,
} from "./rundir.ts";
import type { Settings } from "./settings.ts";
import {
  BLANK,
  describeExit,
  type Exit,
  isBeingStarted,
  type ProcessId,
  type Status,
} from "./status.ts";
import { explainSpawn, isPassing, type Source, SysDir, whyNotProgram } from "./sysdir.ts";
import { type Times, timesAfter, timesOf } from "./times.ts";
import {
  type Effect,
  type Event,
  formatAge,
  isFinal,
  type Level,
  type Life,
  newborn,
  stopSignals,
  transition,
} from "./transition.ts";
import { type Watch, Watcher } from "./watch.ts";

export const usage = `usage: sysmgr [-hVqv] [-d SYSDIR] [-r RUNDIR] [--nofile N] [--prefix] [--timestamps]
              [--exit-when-idle] [-- COMMAND [ARGUMENT...]]
       sysmgr PROGRAM [ARGUMENT...]

Keep every executable in SYSDIR running, unless RUNDIR/NAME/lock exists.

  -d SYSDIR    directory of services (environment SYSDIR; ${config.SYSDIR})
  -r RUNDIR    directory of state (environment RUNDIR; ${config.RUNDIR})
  --nofile N   soft limit on open descriptors for services
  --prefix     put the service's name in front of each line that it writes
  --timestamps put the time there, too
  --exit-when-idle
               end when every service is down
  -q           print errors only
  -v           print every decision
  -h, --help   print this
  -V           print the version

COMMAND is the main program: when it ends, all is stopped, and sysmgr exits as it did.
PROGRAM is svctl, sysmgr-depends or another one of those: what their links do.
`;

export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args, {
    boolean: ["h", "V", "q", "v", "exit-when-idle", "prefix", "timestamps"],
    string: ["d", "r", "nofile"],
    alias: { h: "help", V: "version", q: "quiet", v: "verbose", d: "sysdir", r: "rundir" },
    command: true,
  });
  if (answeredHelp(options, usage)) return 0;
  const [operand] = options.operands;
  if (operand !== undefined) throw new UsageError(`unexpected argument ${operand}`);
  const settings = parseSettings(options);
  enterRuntimeEnvironment();
  const { sysdir, rundir } = directories(options);
  return await supervise(new SysDir(sysdir), rundir, { ...settings, sysdir });
}

export type Invocation = {
  /** Under which name messages are written. */
  readonly program: string;
  readonly level: Level;
  readonly nofile: number | null;
  /** What services find as SYSDIR in their environment. */
  readonly sysdir: string;
  /** The main program and its arguments: its end is the end of all. */
  readonly command?: readonly string[];
  /** Names of services of which the same is true. */
  readonly essential?: readonly string[];
  readonly exitWhenIdle?: boolean;
  /** What services write goes through a sysmgr-prefix, called with these options. */
  readonly prefix?: readonly string[] | null;
  /** What signals mean that would otherwise stop all services, with exit code 0. */
  readonly signals?: Readonly<Partial<Record<ShutdownSignal, Ending>>>;
  /** Called once, when this is the only supervisor of RUNDIR and has looked at everything. */
  readonly begun?: () => void;
};

/** How a signal ends the supervisor: all services are stopped first, or left to a successor. */
export type Ending = { readonly services: "stop" | "leave"; readonly code: number };
type ShutdownSignal = (typeof SHUTDOWN_SIGNALS)[number];

function parseSettings(options: Options): Omit<Invocation, "sysdir"> {
  const level = options.has("v") ? "debug" : options.has("q") ? "error" : "info";
  const text = options.value("nofile");
  const nofile = text === undefined ? null : parseCount(text);
  if (text !== undefined && (nofile === null || nofile < 3)) {
    throw new UsageError(`--nofile: not a number of descriptors: ${text}`);
  }
  const essential = (getenv(ESSENTIAL) ?? "").split(/[ \t\n]+/);
  const { command } = options;
  return {
    program: "sysmgr",
    level,
    nofile,
    command,
    essential,
    exitWhenIdle: options.has("exit-when-idle"),
    prefix: options.has("timestamps") ? ["-t"] : options.has("prefix") ? [] : null,
  };
}

/** Supervises until told to stop; resolves to the exit code. Throws Failure when it cannot begin. */
export async function supervise(
  source: Source,
  path: string,
  settings: Invocation,
): Promise<number> {
  closeInherited();
  const handover = readHandover();
  const umask = process.umask(0o022);
  const rundir = RunDir.make(path);
  if (typeof rundir === "number") {
    throw new Failure(`cannot open ${path}: ${libc.strerror(rundir)}`);
  }
  const weakness = rundir.weakness();
  if (weakness !== null) throw new Failure(`cannot use ${path}: ${weakness}`);
  const lock = await takeLock(rundir, handover?.lock);
  if (lock === -E.AGAIN) {
    const pid = rundir.supervisor();
    throw new Failure(
      `cannot lock ${path}: another sysmgr works there${pid ? ` (pid ${pid})` : ""}`,
    );
  }
  if (lock < 0) throw new Failure(`cannot lock ${path}: ${libc.strerror(lock)}`);
  return await new Scanner(source, rundir, lock, {
    ...settings,
    umask: handover?.umask ?? umask,
    nofile: settings.nofile ?? handover?.nofile ?? null,
    upgraded: handover !== null,
    running: handover?.command ?? null,
    pipes: handover ? rundir.inheritedPipes() : [],
  }).run();
}

/** A predecessor that was killed holds the lock until the kernel has buried it, and its last spawn. */
async function takeLock(rundir: RunDir, inherited?: number): Promise<number> {
  const deadline = now() + config.LOCK_GRACE;
  let lock = rundir.lock(inherited);
  while (lock === -E.AGAIN && rundir.supervisor() === null && now() < deadline) {
    await Bun.sleep(10);
    lock = rundir.lock();
  }
  return lock;
}

/** One service: what the transition function knows, and what ties it to the world. */
type Service = {
  readonly name: string;
  life: Life;
  times: Times;
  /** False while the status could not be written. */
  saved: boolean;
  /** What its pid file holds: null for none, undefined for what we do not know. */
  pidSaved: number | null | undefined;
  timer: Timer | null;
  /** On its directories in RUNDIR, and on its entry while that cannot be started. */
  watches: Watch[];
  entryWatch: Watch | null;
  /** Why it could not be started, as its finish script was told last. */
  refused: string | null;
  /** Since when the entry has been missing from SYSDIR. */
  missing: number | null;
  /** Files in its drop box that are no command, and were complained of. */
  reported: Set<string> | null;
  /** Its stop marker was looked at: until then `wanted` is only a beginning. */
  read: boolean;
  /** Its stop marker was closed, as far as events tell; and which one was found when. */
  marked: boolean;
  empty: { readonly inode: bigint; readonly at: number } | null;
  /** A stop marker that could not be written, or removed (null). */
  unmarked: { readonly content: string | null } | null;
  /** Its process was adopted: it is no child of ours. */
  adopted: boolean;
  /** Its finish script, while that runs. */
  finish: ProcessId | null;
  /** Closes what we hear with that it is ready; null when nothing is expected. */
  deafen: (() => void) | null;
  /** Of a logger: the FIFO that it reads, which we hold open. */
  input: number | null;
  /** The FIFOs to sysmgr-prefix that it may write to, which we hold open. */
  taps: Readonly<Record<Tap, number>> | null;
  /** Its process writes to its logger. */
  piped: boolean;
  /** Its control/u runs, or has run for the start that is due. */
  prepared: "soon" | "now" | null;
  /** The sysmgr-depends in it whose end wakes us; `begun` is on the clock of now(). */
  waiter: { readonly pid: number; readonly begun: number; readonly forget: () => void } | null;
};

/** What a file in a drop box asks for. */
const REQUESTS: Record<Command, Event> = {
  up: { type: "command", command: "up" },
  down: { type: "command", command: "down" },
  once: { type: "command", command: "once" },
  restart: { type: "command", command: "restart" },
  term: { type: "signal", signal: SIGNALS.TERM },
  cont: { type: "signal", signal: SIGNALS.CONT },
  pause: { type: "signal", signal: SIGNALS.STOP },
  hup: { type: "signal", signal: SIGNALS.HUP },
  alarm: { type: "signal", signal: SIGNALS.ALRM },
  int: { type: "signal", signal: SIGNALS.INT },
  quit: { type: "signal", signal: SIGNALS.QUIT },
  usr1: { type: "signal", signal: SIGNALS.USR1 },
  usr2: { type: "signal", signal: SIGNALS.USR2 },
  kill: { type: "signal", signal: SIGNALS.KILL },
};

/** From the first request to end until we are gone. */
type Shutdown = {
  readonly began: number;
  /** null: that of the main program. */
  code: number | null;
  /** For each service that still runs, those that depend on it and still run. */
  readonly dependents: Map<Service, Set<Service>>;
  /** When KILL is due. */
  killAt: number;
  /** The sessions of services that ran when it began. */
  readonly sessions: ReadonlySet<number>;
  /** Of what services left behind: who has had TERM. */
  readonly swept: Set<number>;
  readonly timers: Set<Timer>;
};

const SHUTDOWN_SIGNALS = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGABRT"] as const;

/** What the main program gets in our place; TERM goes to it in the course of the shutdown. */
const FORWARDED = ["SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"] as const;

/** The variable that names services whose end is the end of all. */
const ESSENTIAL = "SYSMGR_ESSENTIAL";

/** The variable that tells a finish, check or control script from its service. */
const SCRIPT = "SYSMGR_SCRIPT";

/** Signals that a program gets for its own faults. */
const FAULTS = [SIGNALS.ILL, SIGNALS.TRAP, SIGNALS.BUS, SIGNALS.FPE, SIGNALS.SEGV] as const;

class Scanner {
  private readonly services = new Map<string, Service>();
  /** Whose main process a pid is. */
  private readonly byPid = new Map<number, Service>();
  /** Children of ours that are no service: what to do at their end. */
  private readonly helpers = new Map<number, (exit: Exit) => void>();
  /** To be looked at, and to be started, before we sleep again. */
  private readonly touched = new Set<Service>();
  private readonly startable = new Set<Service>();
  private readonly reported = new Set<string>();
  private readonly log: Log;
  private readonly boot = proc.bootId();
  private readonly pidns = proc.pidNamespace();
  private readonly umask: number;
  /** The environment of all that we start; services get their name as well. */
  private readonly variables: readonly string[];
  private readonly environment: libc.Strings;
  /** That of their finish, check and control scripts: nobody is to take one for its service. */
  private readonly scriptEnvironment: libc.Strings;
  private readonly limits: libc.Limits;
  private readonly stdin: number;
  private readonly ended = Promise.withResolvers<number>();
  private watcher: Watcher | null = null;
  /** Something could not be watched: look every second instead. */
  private blind = false;
  private rundirWatches: Watch[] = [];
  private scanTimer: Timer | null = null;
  private healTimer: Timer | null = null;
  private readonly later = new Set<string>();
  private removalTimer: Timer | null = null;
  private tidyTimer: Timer | null = null;
  /** Events since memory was last tidied. */
  private changes = 0;
  /** When the first start in this turn of the event loop was made. */
  private turnBegan: number | null = null;
  private shutdown: Shutdown | null = null;
  /** The binary on disk is being asked whether it works. */
  private probing = false;
  /** The main program, and how it ended. */
  private main: ProcessId | null = null;
  private mainGroup: number | null = null;
  /** Where it can be put into the foreground. */
  private terminal = -1;
  private mainExit: Exit | null = null;
  private readonly afterwards = new Set<() => void>();
  private obeying = false;
  /** The sysmgr-prefix that runs; it ends when the pipe that we hold is closed. */
  private prefixer: { readonly pid: number; pipe: number | null } | null = null;

  constructor(
    private readonly source: Source,
    private rundir: RunDir,
    private lock: number,
    private readonly settings: Invocation & {
      readonly umask: number;
      readonly upgraded: boolean;
      /** The main program that a predecessor has started. */
      readonly running: ProcessId | null;
      /** FIFOs that a predecessor left open, until we have opened them. */
      readonly pipes: readonly number[];
    },
  ) {
    this.umask = settings.umask;
    this.log = new Log(settings.program, settings.level);
    const own = ["SYSDIR=", "RUNDIR=", "SYSMGR_SERVICE=", `${ESSENTIAL}=`, `${SCRIPT}=`];
    const inherited = cleanEnvironment().filter((v) => !own.some((name) => v.startsWith(name)));
    this.variables = [...inherited, `SYSDIR=${settings.sysdir}`, `RUNDIR=${rundir.path}`];
    this.environment = new libc.Strings(this.variables, NAME_ROOM);
    this.scriptEnvironment = new libc.Strings([...this.variables, `${SCRIPT}=1`], NAME_ROOM);
    this.limits = serviceFileLimits(settings.nofile);
    this.stdin = openNull();
  }

  run(): Promise<number> {
    this.becomeSupervisor();
    const steps = [
      this.openWatcher,
      this.adoptAll,
      this.resumeMain,
      this.startPrefixer,
      this.scan,
      this.startMain,
    ];
    for (const step of steps) this.guarded(step.bind(this))();
    for (const fd of this.settings.pipes) libc.close(fd);
    this.guarded(() => this.settings.begun?.())();
    return this.ended.promise;
  }

  private becomeSupervisor(): void {
    libc.becomeSubreaper();
    // The kernel has called us after the path by which we were executed again: "exe".
    libc.setProcessName(this.settings.program);
    proc.keepSpare();
    // The runtime has handlers for these; as PID 1 they would let anybody's kill(1) end us.
    if (process.pid === 1) for (const signal of FAULTS) libc.defaultSignal(signal);
    process.on(
      "SIGCHLD",
      this.guarded(() => {
        this.reap();
        this.suspendWithMain();
      }),
    );
    process.on(
      "SIGUSR2",
      this.guarded(() => {
        if (!this.forward("SIGUSR2")) this.beginUpgrade();
      }),
    );
    process.on(
      "SIGALRM",
      this.guarded(() => this.scan()),
    );
    for (const signal of SHUTDOWN_SIGNALS) {
      const { services, code } = this.settings.signals?.[signal] ?? {
        services: "stop",
        code: null,
      };
      const leave = () => this.ended.resolve(code ?? 0);
      const stop = () => this.beginShutdown(code, signal);
      const end = services === "leave" ? leave : stop;
      process.on(
        signal,
        this.guarded(() => {
          if (!this.forward(signal)) end();
        }),
      );
    }
    process.on("uncaughtException", (error) => this.reportBug(error));
    process.on("unhandledRejection", (error) => this.reportBug(error));
    // Their default would end us; they say nothing to a supervisor.
    for (const signal of ["SIGUSR1", "SIGWINCH", "SIGTSTP", "SIGTTIN", "SIGTTOU"] as const) {
      process.on(signal, () => this.forward(signal));
    }
    this.check("write", "pid", this.rundir.writeSupervisorPid());
    if (this.settings.upgraded) this.rundir.finish(SUPERVISOR, "upgrade");
    // Held back since we, or our predecessor, executed this.
    libc.unblockSignals();
  }

  /** Nothing that goes wrong in one step may stop the others. */
  private guarded<A extends unknown[]>(step: (...args: A) => void): (...args: A) => void {
    return (...args) => {
      try {
        step(...args);
        // What could not be looked at now is looked at soon.
        if (libc.takeShortage()) this.armScan(config.HEAL_INTERVAL);
      } catch (error) {
        this.reportBug(error);
      }
    };
  }

  private reportBug(error: unknown): void {
    const where = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.log.write("error", `internal error: ${escapeBytes(where)}`);
  }

  // ------------------------------------------------------------ what wakes us

  private openWatcher(): void {
    const watcher = Watcher.open(
      this.guarded(() => this.scan()),
      this.guarded(() => this.lookAtTouched()),
    );
    if (typeof watcher === "number") return this.goBlind(watcher);
    this.watcher = watcher;
    this.watchRundir();
    this.watchSource();
  }

  /** With it went all that it watched; the next scan opens another one. */
  private loseWatcher(): void {
    this.watcher = null;
    this.rundirWatches = [];
    for (const s of this.services.values()) {
      s.watches = [];
      s.entryWatch = null;
    }
    this.goBlind(-E.BADF);
  }

  /** Without inotify everything is looked at once a second. */
  private goBlind(code: number): void {
    this.blind = true;
    this.once("blind", `cannot watch files: ${libc.strerror(code)}; looking every second instead`);
    this.armScan(config.SCAN_INTERVAL_BLIND);
  }

  /** Those of the watches that were to be had; if one was not, we look for ourselves. */
  private got(watches: readonly (Watch | number)[]): Watch[] {
    const code = watches.find((w) => typeof w === "number");
    if (code !== undefined && code !== -E.NOENT) this.goBlind(code);
    return watches.filter((w) => typeof w !== "number");
  }

  private unwatch(watches: readonly Watch[]): void {
    for (const watch of watches) this.watcher?.remove(watch);
  }

  private watchRundir(): void {
    this.unwatch(this.rundirWatches);
    if (!this.watcher) return;
    const onEvent = this.guarded(this.onRundirEvent.bind(this));
    this.rundirWatches = this.got(this.rundir.watch(this.watcher, onEvent));
    // What was removed before it could be watched is told by no event.
    if (!this.rundir.isCurrent() || !this.rundir.hasSupervisorFiles())
      this.check("watch", this.rundir.path, -E.NOENT);
  }

  private onRundirEvent(...[what, name]: Parameters<OnEvent>): void {
    const s = this.services.get(name);
    if (what === "lost" || (what === "pidless" && s?.life.process)) return this.healOne(s);
    if (name === SUPERVISOR) return what === "unfinished" ? this.lookLater(name) : this.obey();
    if (what === "pidless") return;
    if (s && what === "waiting") this.lookAtWaiters(s);
    else if (s && what === "unfinished") this.lookLater(name);
    else if (s) this.touched.add(s);
    // In order: what is true after the last event is true of the marker that is there.
    if (s && what !== "command" && what !== "waiting") s.marked = what === "marked";
  }

  /** A file that was made, and perhaps will not be closed: linked in, its other name gone. */
  private lookLater(name: string): void {
    if (this.later.has(name)) return;
    this.later.add(name);
    setTimeout(
      this.guarded(() => this.lookNow(name)),
      config.HEAL_INTERVAL,
    );
  }

  private lookNow(name: string): void {
    this.later.delete(name);
    if (name === SUPERVISOR) this.obey();
    const s = this.services.get(name);
    if (s) this.lookAt(s);
    if (s) this.apply(s, { type: "entry", changed: false });
    else if (name !== SUPERVISOR && this.source.has(name)) this.meet(name);
  }

  private watchSource(): void {
    if (!this.watcher) return;
    const code = this.source.watch(this.watcher, {
      entry: this.guarded((name) => this.lookAtEntry(name)),
      unfinished: this.guarded((name) => this.lookLater(name)),
      moved: this.guarded(() => this.lookAtSource()),
    });
    if (code < 0) this.goBlind(code);
  }

  private watchService(s: Service): void {
    this.unwatch(s.watches);
    if (!this.watcher) return;
    s.watches = this.got(this.rundir.watchService(this.watcher, s.name));
    // Removed again before it could be watched.
    if (s.watches.length < 2) this.check("watch", s.name, -E.NOENT);
  }

  private armScan(interval: number): void {
    if (this.scanTimer) clearTimeout(this.scanTimer);
    this.scanTimer = setTimeout(
      this.guarded(() => this.scan()),
      interval,
    );
  }

  // ----------------------------------------------------------------- looking

  /** Looks at everything: at start, on ALRM, when events were lost, and now and then. */
  private scan(): void {
    this.lookAtAll();
    this.obey();
  }

  private lookAtAll(): void {
    this.blind = false;
    this.armScan(config.SCAN_INTERVAL);
    if (this.watcher?.hasEnded) this.loseWatcher();
    else if (!this.watcher) this.openWatcher();
    else if (this.rundirWatches.length < 2) this.watchRundir();
    this.heal();
    for (const s of this.services.values()) {
      if (this.watcher && s.watches.length < 2) this.watchService(s);
      this.lookAt(s);
      this.lookAtWaiters(s);
      if (s.missing === null) this.apply(s, { type: "entry", changed: false });
    }
    this.lookAtSource();
    // Afterwards: who is started again finds its logger, which a successor has to meet first.
    this.reap();
    if (!this.blind && this.reported.delete("blind"))
      this.log.write("info", "watching files again");
  }

  /** Reads SYSDIR: who is new, who is missing. */
  private lookAtSource(): void {
    this.watchSource();
    const names = this.source.names();
    if (!Array.isArray(names)) return this.once("source", `cannot read SYSDIR: ${names.reason}`);
    this.reported.delete("source");
    const present = new Set(names);
    for (const name of names) this.meet(name);
    for (const s of this.services.values()) if (!present.has(s.name)) this.miss(s);
    // There may be nobody whose life could change.
    if (this.settings.exitWhenIdle) this.doAfterwards(this.endIfIdle);
  }

  /** One entry of SYSDIR came, went or changed. */
  private lookAtEntry(name: string): void {
    const known = this.services.get(name);
    if (this.source.has(name)) {
      this.meet(name);
      if (known) this.apply(known, { type: "entry", changed: true });
    } else {
      for (const s of [known, this.loggerOf(name)]) if (s) this.miss(s);
    }
  }

  private lookAtTouched(): void {
    for (const s of this.touched) this.lookAt(s);
    this.touched.clear();
  }

  /** Reads a service's stop marker and drop box, and does what they say. */
  private lookAt(s: Service): void {
    // What is not in SYSDIR either comes back or goes; until then only what runs is ours.
    if (s.missing !== null && !s.life.process) return;
    const marker = this.markerOf(s);
    // `: >lock` and then `once`: what comes in two steps counts when it was closed.
    if (!marker.fresh || s.life.wanted === "down" || this.wasEmptyBefore(s, marker.inode)) {
      this.apply(s, { type: "marker", marker });
    } else {
      this.lookAgain(s, s.marked ? config.MARKER_PAUSE + 1 : config.MARKER_GRACE);
    }
    const { orders, strangers } = this.rundir.take(s.name, COMMANDS);
    for (const { command } of orders) {
      this.log.write("debug", `${escapeBytes(s.name)}: asked to ${command}`);
      // One that has ended already is not up, and may be gone with that.
      if (command === "up" || command === "once") this.reap();
      if (this.services.get(s.name) !== s) return;
      this.apply(s, REQUESTS[command]);
      this.rundir.finish(s.name, command);
    }
    if (strangers.length > 0) {
      s.reported ??= new Set();
      this.reportStrangers(s.name, strangers, s.reported);
    }
  }

  /** Was this very marker, closed as far as we know, found empty a pause ago? */
  private wasEmptyBefore(s: Service, inode: bigint): boolean {
    if (s.empty?.inode !== inode) s.empty = { inode, at: now() };
    return s.marked && now() >= s.empty.at + config.MARKER_PAUSE;
  }

  /**
   * The closing that we know of may have been that of a former file: only if it is empty still,
   * after the events that came since were read, it is the whole marker.
   */
  private lookAgain(s: Service, pause: number): void {
    const again = () => {
      this.touched.add(s);
      this.lookAtTouched();
    };
    setTimeout(this.guarded(again), pause);
  }

  /** A trouble of one service, said once. */
  private onceOf(s: Service, text: string): void {
    s.reported ??= new Set();
    if (s.reported.has(text)) return;
    s.reported.add(text);
    this.log.write("error", `${escapeBytes(s.name)}: ${escapeBytes(text)}`);
  }

  /** The stop marker as it is, or as it would be had RUNDIR not failed us. */
  private markerOf(s: Service): FoundMarker {
    const { wanted, stopSignal } = s.life;
    const remembered = { wanted, signal: stopSignal, fresh: false, inode: 0n };
    this.markAgain(s);
    if (s.unmarked) return remembered;
    const found = this.rundir.marker(s.name);
    if (found) s.read = true;
    const marker = found ?? remembered;
    const removed = marker.wanted === "up" && wanted !== "up" && s.saved;
    // Together with the status it went because RUNDIR was removed: nobody asked for a start.
    return removed && !this.rundir.hasStatus(s.name) ? remembered : marker;
  }

  /** Does what the supervisor's own drop box says. */
  private obey(): void {
    // To look at everything may lead here again: a command stays until it was obeyed.
    if (this.obeying) return;
    this.obeying = true;
    try {
      this.obeyOrders();
    } finally {
      this.obeying = false;
    }
  }

  private obeyOrders(): void {
    const { orders, strangers, early } = this.rundir.take(SUPERVISOR, SUPERVISOR_COMMANDS);
    if (early) this.lookLater(SUPERVISOR);
    for (const { command, content } of orders) {
      if (command === "scan") this.lookAtAll();
      if (command === "shutdown") this.beginShutdown(parseCount(content), "shutdown");
      // An upgrade is answered when it was done, or refused.
      if (command === "upgrade") this.beginUpgrade();
      else this.rundir.finish(SUPERVISOR, command);
    }
    this.reportStrangers(".control", strangers, this.reported);
  }

  private reportStrangers(where: string, files: readonly string[], reported: Set<string>): void {
    for (const file of files) {
      if (reported.has(file) || reported.size >= 100) continue;
      reported.add(file);
      this.log.write("error", `${escapeBytes(where)}: not a command: ${escapeBytes(file)}`);
    }
  }

  /** A service is in SYSDIR. */
  private meet(name: string): void {
    const known = this.services.get(name);
    if (known) {
      if (known.missing === null) return;
      known.missing = null;
      this.meetLogger(name);
      this.holdPipes(known);
      if (!this.shutdown) this.apply(known, { type: "present" });
      this.lookAt(known);
      // One that was taken over as it could not be started.
      return this.apply(known, { type: "entry", changed: false });
    }
    if (this.shutdown) return;
    if (!isServiceName(name)) {
      return this.once(`name ${name}`, `${escapeBytes(name)}: cannot start: the name is reserved`);
    }
    const settings = this.source.settings(name);
    // It may be one that is to be down: it comes when that can be told.
    if (settings.unread?.passing) {
      this.once(`unread ${name}`, escapeBytes(`${name}: cannot start: ${settings.unread.reason}`));
      return this.lookLater(name);
    }
    const s = this.introduce(name, newborn);
    const made = this.rundir.makeService(name);
    this.check("make", name, made === -E.EXIST ? 0 : made);
    const isNew = made >= 0 || !this.rundir.hasStatus(name);
    if (settings.down && isNew && this.rundir.marker(name)?.wanted === "up") this.mark(s, "");
    this.delegate(s, settings);
    this.watchService(s);
    this.meetLogger(name);
    this.holdPipes(s);
    this.lookAt(s);
    if (!s.saved) this.save(s);
  }

  /** Before a service can be started: where its output goes. */
  private meetLogger(name: string): void {
    const logger = loggerOf(name);
    if (loggedBy(name) === null && this.source.has(logger)) this.meet(logger);
  }

  private loggerOf(name: string): Service | undefined {
    return this.services.get(loggerOf(name));
  }

  /** Opens what a logger reads, and what is prefixed, and keeps them open. */
  private holdPipes(s: Service): void {
    if (this.settings.prefix && !s.taps) this.holdTaps(s);
    const owner = loggedBy(s.name);
    if (owner === null || s.input !== null) return;
    const fd = this.rundir.openOutput(owner);
    if (fd < 0) return this.onceOf(s, `cannot make its pipe: ${libc.strerror(fd)}`);
    s.input = fd;
    this.retellOwner(s);
  }

  private holdTaps(s: Service): void {
    const [stdout, stderr] = [
      this.rundir.openTap("stdout", s.name),
      this.rundir.openTap("stderr", s.name),
    ];
    const code = Math.min(stdout, stderr);
    if (code >= 0) {
      s.taps = { stdout, stderr };
      return;
    }
    for (const fd of [stdout, stderr]) if (fd >= 0) libc.close(fd);
    this.onceOf(s, `cannot make its pipe: ${libc.strerror(code)}`);
  }

  /** The status of a service tells whether it has a logger. */
  private retellOwner(s: Service): void {
    const owner = this.services.get(loggedBy(s.name) ?? "");
    if (owner?.saved) this.save(owner);
  }

  private introduce(name: string, life: Life): Service {
    const s: Service = {
      name,
      life,
      times: { since: Date.now(), first: null, ready: null, waited: 0 },
      saved: false,
      pidSaved: undefined,
      timer: null,
      watches: [],
      entryWatch: null,
      refused: null,
      missing: null,
      reported: null,
      read: false,
      marked: false,
      empty: null,
      unmarked: null,
      adopted: false,
      finish: null,
      deafen: null,
      input: null,
      taps: null,
      piped: false,
      prepared: null,
      waiter: null,
    };
    this.services.set(name, s);
    return s;
  }

  /** Lets a group control it, if the service directory says so. */
  private delegate(s: Service, { controlGroup }: Settings): void {
    if (controlGroup === null) return;
    const gid = groupId(controlGroup);
    if (gid === null) return this.onceOf(s, `control-group: no such group: ${controlGroup}`);
    const code = this.rundir.delegate(s.name, gid);
    if (code < 0) this.onceOf(s, `control-group: ${libc.strerror(code)}`);
  }

  /** It is not in SYSDIR, which may be an editor's doing: only its staying away counts. */
  private miss(s: Service): void {
    s.missing ??= now();
    this.removalTimer ??= setTimeout(
      this.guarded(() => this.removeMissing()),
      Math.max(0, s.missing + config.REMOVE_DELAY - now()),
    );
  }

  private removeMissing(): void {
    this.removalTimer = null;
    const names = this.source.names();
    const present = Array.isArray(names) ? new Set(names) : null;
    for (const s of this.services.values()) {
      if (s.missing === null) continue;
      // A SYSDIR that cannot be read says nothing: ask again when it can.
      if (!present || present.has(s.name)) s.missing = null;
      else if (now() < s.missing + config.REMOVE_DELAY) this.miss(s);
      else if (!s.life.leaving && !this.isNeeded(s)) {
        this.log.write("info", `${escapeBytes(s.name)}: removed from SYSDIR`);
        this.apply(s, { type: "leave" });
      }
    }
  }

  /** A logger, by a service that writes to it and has not ended yet? */
  private isNeeded(s: Service): boolean {
    const owner = this.services.get(loggedBy(s.name) ?? "");
    return owner?.piped === true && owner.life.process !== null;
  }

  /** What is known of a service goes away, except for its stop marker. */
  private forget(s: Service): void {
    this.setTimer(s, null);
    this.endInput(s);
    for (const fd of Object.values(s.taps ?? {})) libc.close(fd);
    this.unwatch(s.watches);
    this.watchEntry(s, false);
    this.services.delete(s.name);
    this.rundir.forgetService(s.name);
    this.retellOwner(s);
  }

  // -------------------------------------------------------- state and effects

  /** The one place where a service's life changes. */
  private apply(s: Service, event: Event): void {
    const before = s.life;
    const [life, effects] = transition(before, event, now());
    // The marker first: a successor goes by it, and the status tells that it was made.
    for (const effect of effects) if (effect.type === "mark") this.mark(s, effect.content);
    if (life !== before) this.become(s, life);
    for (const effect of effects) this.perform(s, effect);
    if (life.leaving && life.state === "down" && s.life === life) this.depart(s);
    if (this.settings.exitWhenIdle) this.doAfterwards(this.endIfIdle);
    this.tidyLater();
  }

  /** Once, when all that is to be done now has been, however often it is asked for till then. */
  private doAfterwards(step: () => void): void {
    if (this.afterwards.has(step)) return;
    this.afterwards.add(step);
    setImmediate(
      this.guarded(() => {
        this.afterwards.delete(step);
        step.call(this);
      }),
    );
  }

  private endIfIdle(): void {
    const services = [...this.services.values()].filter((s) => loggedBy(s.name) === null);
    const isIdle = services.every(({ life }) => life.state === "down" || life.state === "failed");
    if (isIdle && !this.main && !this.shutdown) this.beginShutdown(null, "idle");
  }

  /** With its timer off, the runtime collects only what we tell it to: after much was done. */
  private tidyLater(): void {
    if (++this.changes < config.TIDY_AFTER) return;
    this.tidyTimer ??= setTimeout(() => {
      this.tidyTimer = null;
      this.changes = 0;
      Bun.gc(true);
    }, config.TIDY_DELAY);
  }

  private become(s: Service, life: Life, times?: Times): void {
    const before = s.life;
    // Who waits on is not what it is waited for any more.
    if (life.state !== "starting") this.forgetWaiter(s);
    s.life = life;
    s.times = times ?? timesAfter(s.times, before, life, Date.now());
    if (life.due !== before.due) this.setTimer(s, life.due);
    // While its start is tried again, what changes must not be missed.
    if (!isBeingStarted(life)) this.watchEntry(s, life.state === "failed");
    if (statusDiffers(before, life) || life.state !== before.state) this.save(s);
  }

  private perform(s: Service, effect: Effect): void {
    switch (effect.type) {
      case "spawn":
        this.startable.add(s);
        return this.startSome();
      case "signal":
        return this.customized(s, CONTROL[effect.signal], () => this.signal(s, effect.signal));
      case "stop":
        return this.stop(s, effect.signal);
      case "kill":
        return this.signal(s, SIGNALS.KILL);
      case "finish":
        return this.finish(s, effect.exit);
      case "check":
        return this.runCheck(s);
      case "log":
        return this.log.write(effect.level, `${escapeBytes(s.name)}: ${effect.text}`);
    }
  }

  /** Asks it to end; a logger that is needed no more comes to the end of what it reads. */
  private stop(s: Service, signal: number | null): void {
    this.log.write("debug", `${escapeBytes(s.name)}: stopping`);
    if (s.life.leaving && this.endInput(s)) return;
    const [first, cont] = stopSignals(signal);
    const after = s.life.leaving ? "x" : s.life.wanted === "down" ? "d" : undefined;
    this.customized(
      s,
      CONTROL[first],
      () => this.signal(s, first),
      () => {
        this.signal(s, cont);
        this.customized(s, after, () => {});
      },
    );
  }

  /** True when it was held open: then its end is waited for before it is told to stop. */
  private endInput(s: Service): boolean {
    if (s.input === null) return false;
    libc.close(s.input);
    s.input = null;
    const { process } = s.life;
    const late = () => {
      if (this.services.get(s.name) !== s || s.life.process !== process) return;
      for (const signal of stopSignals(null)) this.signal(s, signal);
    };
    if (process && !this.shutdown) setTimeout(this.guarded(late), config.LOGGER_GRACE);
    return process !== null;
  }

  /**
   * A service directory may have a program in place of a signal (runit's control/): only if that
   * fails is the signal sent. What follows comes after either.
   */
  private customized(
    s: Service,
    letter: string | undefined,
    act: () => void,
    then = () => {},
  ): void {
    const file = `control/${letter}`;
    const { process } = s.life;
    const isCustom = letter !== undefined && loggedBy(s.name) === null;
    if (!isCustom || !this.source.hasProgram(s.name, file)) {
      act();
      return then();
    }
    this.runProgram(s, file, [], config.CONTROL_LIMIT, (exit) => {
      if (s.life.process !== process) return;
      if (!("code" in exit) || exit.code !== 0) act();
      then();
    });
  }

  private mark(s: Service, content: string | null): void {
    const code = this.rundir.setMarker(s.name, content);
    const done = code >= 0 || (content === null && code === -E.NOENT);
    s.unmarked = done ? null : { content };
    if (!done) this.check("write lock of", s.name, code);
  }

  private markAgain(s: Service): void {
    if (s.unmarked) this.mark(s, s.unmarked.content);
  }

  private setTimer(s: Service, due: number | null): void {
    if (s.timer) clearTimeout(s.timer);
    s.timer =
      due === null
        ? null
        : setTimeout(
            this.guarded(() => this.ring(s)),
            Math.min(Math.max(0, due - now()), LONGEST_TIMER),
          );
  }

  private ring(s: Service): void {
    s.timer = null;
    // If we are late, it may have ended meanwhile: then it does not come to be up first.
    this.reap();
    if (s.life.due === null || s.timer) return;
    this.lookAtWaiters(s);
    this.apply(s, { type: "timer", waiting: s.waiter !== null });
    // Rung early: the clocks of timers and of now() need not agree to the microsecond.
    if (s.life.due !== null && !s.timer) this.setTimer(s, s.life.due);
  }

  /** Does a sysmgr-depends run in it? Then its end wakes us, however it comes. */
  private isWaiting(s: Service): boolean {
    const main = s.life.process;
    const waiter = this.rundir.waiters(s.name, main)[0]?.process ?? callIn(main);
    if (waiter?.pid === s.waiter?.pid) return waiter !== undefined;
    // Of several that wait at the same time, the next one counts from here.
    const waited = s.waiter !== null;
    this.forgetWaiter(s);
    if (!waiter) return false;
    const { pid, started } = waiter;
    const begun = waited ? now() : now() - proc.ageOf(started);
    const ended = this.guarded(() => this.lookAtWaiters(s));
    s.waiter = { pid, begun, forget: whenEnded(waiter, ended) };
    return true;
  }

  private forgetWaiter(s: Service): void {
    if (!s.waiter) return;
    s.waiter.forget();
    s.times = { ...s.times, waited: s.times.waited + now() - s.waiter.begun };
    s.waiter = null;
  }

  private lookAtWaiters(s: Service): void {
    const waited = s.waiter !== null;
    if (s.life.state !== "starting" || !s.life.process || this.isWaiting(s)) return;
    if (waited) this.save(s);
    // Nobody waits, or not any more: an adopted service may have waited when we came.
    if (waited || s.life.due === null) this.apply(s, { type: "returned" });
  }

  /** Writes down what is so; what could not be written is tried again until it can. */
  private save(s: Service): void {
    const { life } = s;
    const status: Status = {
      state: life.state,
      wanted: life.wanted,
      process: life.process,
      finish: s.finish,
      boot: this.boot,
      pidns: this.pidns,
      ...s.times,
      runs: life.runs,
      short: life.short,
      exit: life.exit,
      next: life.state === "backoff" && life.due !== null ? Date.now() + life.due - now() : null,
      reason: life.reason,
      logger: this.services.has(loggerOf(s.name)),
    };
    // The pid first: who waits for a status reads the pid afterwards.
    const pid = life.process?.pid ?? null;
    if (pid !== s.pidSaved && (pid !== null || life.state !== "starting")) {
      const code = this.rundir.writePid(s.name, pid);
      s.pidSaved = code >= 0 || pid === null ? pid : undefined;
      if (pid !== null) this.check("write pid of", s.name, code);
    }
    const code = this.rundir.writeStatus(s.name, status);
    s.saved = code >= 0;
    this.check("write status of", s.name, code);
  }

  /** Says once that RUNDIR cannot be written, and tries again until all is written. */
  private check(verb: string, what: string, code: number): void {
    if (code >= 0) return;
    // Removed from under us: that is said, and healed, elsewhere; but it must be healed.
    if (code !== -E.NOENT)
      this.once("rundir", `cannot ${verb} ${escapeBytes(what)}: ${libc.strerror(code)}`);
    this.healLater();
  }

  /** What stands at RUNDIR's path is not ours: said once, until it is gone. */
  private refuse(text: string): void {
    this.once("refused", text);
    this.healLater();
  }

  private healLater(): void {
    this.healTimer ??= setTimeout(
      this.guarded(() => this.healStatus()),
      config.HEAL_INTERVAL,
    );
  }

  private healStatus(): void {
    this.healTimer = null;
    this.heal();
    for (const s of this.services.values()) {
      if (!s.saved || (s.life.process && s.pidSaved === undefined)) this.remake(s);
      this.markAgain(s);
    }
    if (!this.healTimer && this.reported.delete("rundir"))
      this.log.write("info", "RUNDIR: written again");
  }

  /** An error that lasts is said once. */
  private once(key: string, text: string): void {
    if (this.reported.has(key)) return;
    this.reported.add(key);
    this.log.write("error", text);
  }

  /** Watches what the entry leads to now. */
  private watchEntry(s: Service, wanted: boolean): void {
    const before = s.entryWatch;
    s.entryWatch = null;
    if (wanted && this.watcher) {
      const onChange = () => this.apply(s, { type: "entry", changed: true });
      const watch = this.source.watchEntry(this.watcher, s.name, this.guarded(onChange));
      if (typeof watch !== "number") {
        s.entryWatch = watch;
        // It may have changed after we looked, before it was watched.
        if (watch.id !== before?.id) setImmediate(this.guarded(() => this.lookNow(s.name)));
      }
    }
    if (before) this.watcher?.remove(before);
  }

  /** RUNDIR, or a service's directory in it, may have been removed: made again from memory. */
  private heal(): void {
    const lost = !this.rundir.isCurrent();
    if (lost && !this.reopenRundir()) return;
    if (!this.holdsLock()) return;
    if (!this.rundir.hasSupervisorFiles()) {
      this.check("write", "pid", this.rundir.writeSupervisorPid());
      this.watchRundir();
      this.obey();
    }
    for (const s of this.services.values()) {
      if (lost || !this.isWhole(s)) this.remake(s);
    }
  }

  /** The same, where it is known what is missing: a service's directory, or what is in it. */
  private healOne(s: Service | undefined): void {
    if (!s || !this.rundir.isCurrent()) this.heal();
    else if (!this.isWhole(s)) this.remake(s);
  }

  private isWhole(s: Service): boolean {
    // A pid that could not be written is not missing: to make room for it would never end.
    return this.rundir.isWhole(s.name, typeof s.pidSaved === "number");
  }

  private reopenRundir(): boolean {
    const { path } = this.rundir;
    const rundir = this.rundir.remake();
    if (!(rundir instanceof RunDir)) {
      if (typeof rundir === "number") this.check("make", path, rundir);
      else this.refuse(`cannot use ${escapeBytes(path)}: ${rundir.reason}`);
      return false;
    }
    this.reported.delete("refused");
    this.log.write("error", "RUNDIR was removed; made again");
    this.rundir.close();
    this.rundir = rundir;
    if (!this.holdsLock()) return false;
    this.check("write", "pid", rundir.writeSupervisorPid());
    this.watchRundir();
    this.obey();
    return true;
  }

  /** The lock file may have been removed: taken again, unless another sysmgr was quicker. */
  private holdsLock(): boolean {
    if (this.rundir.isLock(this.lock)) return true;
    libc.close(this.lock);
    this.lock = this.rundir.lock();
    if (this.lock !== -E.AGAIN) return true;
    this.log.write("error", "another sysmgr has taken RUNDIR; leaving the services to it");
    this.ended.resolve(1);
    return false;
  }

  private remake(s: Service): void {
    const made = this.rundir.makeService(s.name);
    this.check("make", s.name, made === -E.EXIST ? 0 : made);
    this.delegate(s, this.source.settings(s.name));
    if (s.read && s.life.wanted !== "up") this.mark(s, s.life.wanted === "once" ? "once\n" : "");
    this.watchService(s);
    s.pidSaved = undefined;
    this.save(s);
    // Somebody may have been quicker than our watch.
    this.lookAt(s);
  }

  // --------------------------------------------------------------- processes

  /** Starts what is to be started, but gives way to other events after a while. */
  private startSome(): void {
    if (this.turnBegan === null) {
      this.turnBegan = now();
      setImmediate(
        this.guarded(() => {
          this.turnBegan = null;
          if (this.startable.size > 0) this.startSome();
        }),
      );
    }
    for (const s of this.startable) {
      if (now() - this.turnBegan > config.SPAWN_SLICE) return;
      this.startable.delete(s);
      if (isBeingStarted(s.life)) this.start(s);
    }
  }

  private start(s: Service): void {
    const target = this.source.inspect(s.name);
    if ("reason" in target) return this.cannotStart(s, target.reason, target.passing === true);
    for (const problem of target.problems) this.onceOf(s, problem);
    if (this.prepares(s)) return;
    const streams = this.openStreams(s);
    if (typeof streams === "number") {
      return this.cannotStart(s, `its pipe: ${libc.strerror(streams)}`, true);
    }
    const readiness = this.openReadiness(s, target.settings, "new");
    // Without a way to say that it is ready, it is as one that says nothing.
    const settings = s.deafen ? target.settings : { ...target.settings, notificationFd: null };
    const chained = this.rundir.clearDepends(s.name);
    this.environment.setLast(`SYSMGR_SERVICE=${s.name}`);
    const before = libc.bootTime();
    const pid = libc.spawn({
      ...target,
      env: this.environment,
      fds: [...streams, ...readiness],
      limits: this.limits,
      umask: this.umask,
    });
    for (const [fd] of readiness) libc.close(fd);
    this.closeStreams(streams);
    if (pid < 0) {
      s.deafen?.();
      return this.cannotStart(s, explainSpawn(target, pid), isPassing(pid));
    }
    this.byPid.set(pid, s);
    s.refused = null;
    s.piped = this.outputOf(s) !== null;
    const started = proc.startTime(pid, before, libc.bootTime());
    this.apply(s, { type: "spawned", process: { pid, started }, chained, settings });
  }

  private cannotStart(s: Service, reason: string, passing: boolean): void {
    // A finish script is told so, as runit does: once for each reason.
    if (reason !== s.refused && this.source.settings(s.name).finish) {
      this.runProgram(s, "finish", ["111", "0"], config.FINISH_LIMIT, () => {});
    }
    s.refused = reason;
    this.apply(s, { type: "unspawned", reason, passing });
    if (!passing && this.isEssential(s, this.source.settings(s.name))) this.endWith(s, CANNOT_RUN);
  }

  private isEssential(s: Service, settings: Settings): boolean {
    return settings.essential || this.settings.essential?.includes(s.name) === true;
  }

  /** An essential service has ended. */
  private endWith(s: Service, code: number): void {
    if (!this.shutdown)
      this.beginShutdown(code, `${escapeBytes(s.name)}, which is essential, ended`);
  }

  /** Runs its control/u before it is started: true when the start comes after that. */
  private prepares(s: Service): boolean {
    if (s.prepared === "soon") return true;
    const prepared = s.prepared === "now";
    s.prepared = null;
    if (prepared || loggedBy(s.name) !== null || !this.source.hasProgram(s.name, "control/u"))
      return false;
    s.prepared = "soon";
    this.runProgram(s, "control/u", [], config.CONTROL_LIMIT, () => {
      // It may have been stopped meanwhile: another start is prepared anew.
      const isDue = isBeingStarted(s.life);
      s.prepared = isDue ? "now" : null;
      if (!isDue) return;
      this.startable.add(s);
      this.startSome();
    });
    return true;
  }

  /**
   * What a service reads and writes. To its logger it writes by a descriptor that could be read
   * as well: so the pipe has a reader even when logger and sysmgr were killed at once. Every
   * program gets one of its own: whether it blocks is nobody else's business.
   */
  private openStreams(s: Service): Stream[] | number {
    const streams: Stream[] = [];
    const add = (pipe: number, flags: number, to: number) => {
      const fd = libc.openat(libc.AT_FDCWD, `/proc/self/fd/${pipe}`, flags);
      if (fd >= 0) streams.push([fd, to]);
      return fd;
    };
    this.holdPipes(s);
    const stdout = this.outputOf(s) ?? s.taps?.stdout;
    const code = Math.min(
      s.input === null ? 0 : add(s.input, libc.O.RDONLY, 0),
      stdout === undefined ? 0 : add(stdout, libc.O.RDWR, 1),
      s.taps ? add(s.taps.stderr, libc.O.RDWR, 2) : 0,
    );
    if (s.input === null && this.stdin >= 0) streams.push([this.stdin, 0]);
    if (code >= 0) return streams;
    this.closeStreams(streams);
    return code;
  }

  /** The pipe to its logger, if it is to write there. */
  private outputOf(s: Service): number | null {
    const logger = this.loggerOf(s.name);
    return logger?.missing === null ? logger.input : null;
  }

  private closeStreams(streams: readonly Stream[]): void {
    for (const [fd] of streams) if (fd !== this.stdin) libc.close(fd);
  }

  /** Listens for a service's word that it is ready. Returns what the child is to get for that. */
  private openReadiness(s: Service, settings: Settings, life: "new" | "old"): Stream[] {
    s.deafen?.();
    if (settings.notificationFd === null || settings.check) return [];
    const pipe = this.rundir.openReadiness(s.name, life);
    if (typeof pipe === "number") {
      this.check("make the pipe of", s.name, pipe);
      return [];
    }
    const reader = Bun.file(pipe.own).stream().getReader();
    const deafen = () => {
      if (s.deafen !== deafen) return;
      s.deafen = null;
      void reader.cancel().catch(() => {});
      libc.close(pipe.own);
    };
    s.deafen = deafen;
    const listen = async () => {
      const { value, done } = await reader.read();
      if (s.deafen !== deafen || done) return;
      if (!value.includes(NEWLINE)) return void listen().catch(deafen);
      deafen();
      this.guarded(() => this.apply(s, { type: "ready" }))();
    };
    void listen().catch(deafen);
    return [[pipe.service, settings.notificationFd]];
  }

  /** Runs its finish script with runit's arguments: the exit code or -1, the signal or 0. */
  private finish(s: Service, exit: Exit): void {
    const code = "code" in exit ? exit.code : -1;
    const signal = "signal" in exit ? exit.signal : 0;
    const ended = () => {
      s.finish = null;
      this.apply(s, { type: "finished", marker: this.markerOf(s) });
    };
    s.finish = this.runProgram(s, "finish", [code, signal].map(String), config.FINISH_LIMIT, ended);
    if (s.finish) this.save(s);
  }

  private runCheck(s: Service): void {
    const { process } = s.life;
    this.runProgram(s, "check", [], config.CHECK_LIMIT, (exit) => {
      const passed = "code" in exit && exit.code === 0;
      if (s.life.process === process) this.apply(s, { type: "checked", passed });
    });
  }

  /**
   * Runs a program of a service directory, and kills it when it takes too long; null, and an end
   * soon, when it could not be started.
   */
  private runProgram(
    s: Service,
    file: string,
    args: readonly string[],
    limit: number,
    onEnd: (exit: Exit) => void,
  ): ProcessId | null {
    const target = this.source.inspectProgram(s.name, file);
    this.scriptEnvironment.setLast(`SYSMGR_SERVICE=${s.name}`);
    const before = libc.bootTime();
    const streams = this.openStreams(s);
    const fds = typeof streams === "number" ? [] : streams;
    const pid =
      "reason" in target
        ? -1
        : libc.spawn({
            ...target,
            argv: [...target.argv, ...args],
            env: this.scriptEnvironment,
            fds,
            limits: this.limits,
            umask: this.umask,
          });
    this.closeStreams(fds);
    if ("reason" in target || pid < 0) {
      const reason = "reason" in target ? target.reason : `${file}: ${libc.strerror(pid)}`;
      this.log.write("error", `${escapeBytes(s.name)}: cannot run ${escapeBytes(reason)}`);
      setImmediate(this.guarded(() => onEnd({ unknown: true })));
      return null;
    }
    const timer = setTimeout(() => {
      this.log.write("error", `${escapeBytes(s.name)}: ${file} killed after ${formatAge(limit)}`);
      libc.kill(-pid, SIGNALS.KILL);
    }, limit);
    this.helpers.set(pid, (exit) => {
      clearTimeout(timer);
      onEnd(exit);
    });
    return { pid, started: proc.startTime(pid, before, libc.bootTime()) };
  }

  /** Takes the exit of every child that has ended; what is nobody's was an orphan. */
  private reap(): void {
    for (let child = libc.reap(); child; child = libc.reap()) {
      const s = this.byPid.get(child.pid);
      const { code, signal } = child.status;
      const exit = code !== null ? { code } : { signal: signal ?? 0 };
      const onEnd = this.helpers.get(child.pid);
      this.helpers.delete(child.pid);
      if (s) this.onExit(s, child.pid, exit);
      else if (onEnd) onEnd(exit);
      else this.log.write("debug", `reaped orphan ${child.pid}`);
    }
  }

  private onExit(s: Service, pid: number, exit: Exit): void {
    if (this.byPid.get(pid) !== s) return;
    this.byPid.delete(pid);
    this.forgetWaiter(s);
    s.deafen?.();
    s.adopted = false;
    const logger = this.loggerOf(s.name);
    if (logger && logger.missing !== null) this.miss(logger);
    const asked = s.life.state === "stopping" || s.life.leaving;
    if (!asked && this.isEssential(s, s.life.settings)) this.endWith(s, exitCode(exit));
    // A shutdown starts nothing any more, though it may not have come to this one yet.
    if (this.shutdown) this.become(s, { ...s.life, leaving: true });
    // Its last deed may have been to write its own stop marker.
    this.apply(s, { type: "exited", exit, marker: this.markerOf(s) });
  }

  /** Only ever to a process that is surely the service's: our child, or by its pidfd. */
  private signal(s: Service, signal: number): void {
    const { process } = s.life;
    if (!process) return;
    const code = s.adopted ? signalExactly(process, signal) : libc.kill(process.pid, signal);
    if (code >= 0 || code === -E.SRCH) return;
    const what = `cannot signal ${process.pid}: ${libc.strerror(code)}`;
    this.log.write("error", `${escapeBytes(s.name)}: ${what}`);
  }

  // ---------------------------------------------------------------- adoption

  /** Takes over what a predecessor on this RUNDIR left running; restarts nothing. */
  private adoptAll(): void {
    const found = this.rundir
      .services()
      .map((name) => ({ name, status: this.rundir.ownStatus(name) }));
    const foreign = found.filter(({ status }) => status && !this.isOurs(status));
    const isKnown = found.some(({ status }) => status && this.isOurs(status));
    if (foreign.length > 0) this.clearForeign(isKnown ? foreign.map((f) => f.name) : null);
    // What a predecessor could not write (a full disk), it has removed: that was true no more.
    const unrecorded = found.filter(({ name, status }) =>
      status
        ? isBeingStarted(status)
        : // Of a forgotten service only the marker is left.
          this.rundir.isMet(name) && !this.rundir.hasStatus(name),
    );
    const since = new Map(unrecorded.map(({ name, status }) => [name, status?.since ?? 0]));
    const starters = this.findServiceProcesses(since);
    let taken = 0;
    for (const { name, status } of found) {
      const starter = starters.get(name) ?? null;
      const known = status ?? (starter && this.untold());
      if (!known || !this.isOurs(known) || !isServiceName(name)) continue;
      if (this.adopt(name, known, known.process ?? starter)) taken++;
    }
    if (taken === 0) return;
    this.log.write("info", `version ${config.VERSION}: took over ${taken} running services`);
  }

  /** What another boot, or another pid namespace, has left behind tells of nothing that is here. */
  private clearForeign(names: readonly string[] | null): void {
    this.log.write("info", "RUNDIR tells of another boot; emptied");
    for (const name of names ?? []) this.rundir.removeService(name);
    if (names) return;
    this.rundir.empty();
    this.check("write", "pid", this.rundir.writeSupervisorPid());
    this.watchRundir();
  }

  /** What stands for a status that could not be written. */
  private untold(): Status {
    const { boot, pidns } = this;
    return { ...BLANK, state: "starting", wanted: "up", boot, pidns, since: Date.now() };
  }

  private isOurs(status: Status): boolean {
    return status.boot === this.boot && status.pidns === this.pidns;
  }

  /** True when its process runs on. */
  private adopt(name: string, status: Status, id: ProcessId | null): boolean {
    const stat = id && proc.readStat(id.pid);
    const child = stat?.ppid === process.pid;
    // A zombie child is still ours to reap, and that tells how it ended.
    const lives = id !== null && stat?.started === id.started && (child || stat.state !== "Z");
    const { runs, short } = status;
    const exit = status.process && !lives ? ({ unknown: true } as const) : status.exit;
    const settings = this.source.settings(name);
    const rest = resting(status, settings);
    const s = this.introduce(name, { ...newborn, ...rest, runs, short, exit, settings });
    // Until SYSDIR was read: then it is met, or removed.
    s.missing = now();
    s.saved = true;
    this.rundir.makeService(name);
    this.watchService(s);
    this.holdPipes(s);
    const owner = this.services.get(loggedBy(name) ?? "");
    if (owner) owner.piped = owner.life.process !== null;
    if (s.life.due !== null) this.setTimer(s, s.life.due);
    // Its process ended while nobody was there to write that down.
    const same = s.life.state === status.state;
    const told = same && s.life.wanted === status.wanted;
    s.times = { ...timesOf(status), since: same ? status.since : s.times.since };
    if (!lives && !told) this.save(s);
    const hasRun = status.process !== null || status.state === "finishing";
    if (!lives && status.finish) this.adoptFinish(s, status, status.finish);
    // As it would be had we been there.
    else if (!lives && hasRun && status.wanted === "up" && isFinal(exit, settings.restart))
      this.mark(s, "once\n");
    if (!lives) return false;
    this.byPid.set(id.pid, s);
    if (!child) this.followStranger(s, id);
    const state = status.process ? status.state : "starting";
    const readiness = state === "starting" ? this.openReadiness(s, settings, "old") : [];
    for (const [fd] of readiness) libc.close(fd);
    const timeout = state === "stopping" ? settings.stopTimeout : null;
    const isDeaf = state === "starting" && !s.deafen;
    const wait = isDeaf ? config.SETTLE_DEPENDS : timeout;
    const age = proc.ageOf(id.started);
    const life: Life = {
      ...s.life,
      state,
      wanted: status.wanted,
      // Asked for while the stop was under way: else it would not be wanted.
      again: state === "stopping" && status.wanted === "once",
      process: id,
      begun: now() - age,
      due: wait === null ? null : now() + wait,
      runs: status.process ? runs : runs + 1,
      settings: isDeaf ? { ...settings, notificationFd: null } : settings,
    };
    const unrecorded = () => timesAfter(s.times, s.life, life, Date.now() - age);
    this.become(s, life, status.process ? timesOf(status) : unrecorded());
    // Our predecessor may have died before it sent what it had written down.
    const signal = this.markerOf(s).signal ?? settings.stopSignal;
    if (state === "stopping") this.perform(s, { type: "stop", signal });
    return true;
  }

  /** Its finish script may run on, and nothing may be started beside it. */
  private adoptFinish(s: Service, status: Status, id: ProcessId): void {
    const ended = this.guarded(() => {
      s.finish = null;
      this.apply(s, { type: "finished", marker: this.markerOf(s) });
    });
    // How long it has run was not written down: as those before it did.
    const uptime = status.short > 0 ? 0 : config.MIN_UPTIME;
    const end = { uptime, at: now(), asked: false };
    this.become(s, { ...s.life, state: "finishing", wanted: status.wanted, end });
    // Not before SYSDIR was read: it may be started again.
    if (!proc.isAlive(id.pid, id.started)) return void setImmediate(ended);
    s.finish = id;
    const killer = setTimeout(() => signalExactly(id, SIGNALS.KILL), config.FINISH_LIMIT);
    whenEnded(id, () => {
      clearTimeout(killer);
      ended();
    });
  }

  /** An adopted process that is no child: only the kernel's word for that very process counts. */
  private followStranger(s: Service, id: ProcessId): void {
    s.adopted = true;
    whenEnded(
      id,
      this.guarded(() => this.onExit(s, id.pid, { unknown: true })),
    );
  }

  /**
   * A predecessor may have died between a spawn and its record. What it started leads a session
   * and has our RUNDIR and the service's name in its environment, and is no older than the state
   * `starting` (milliseconds since the epoch, by name); of several, the oldest.
   */
  private findServiceProcesses(since: ReadonlyMap<string, number>): Map<string, ProcessId> {
    const found = new Map<string, ProcessId>();
    if (since.size === 0) return found;
    for (const stat of proc.allStats()) {
      if (stat.session !== stat.pid || stat.state === "Z") continue;
      const environ = proc.readEnviron(stat.pid) ?? [];
      const name = getenv("SYSMGR_SERVICE", environ);
      const from = since.get(name ?? "");
      if (name === undefined || from === undefined) continue;
      if (getenv(SCRIPT, environ) !== undefined) continue;
      if (getenv("RUNDIR", environ) !== this.rundir.path) continue;
      // A container below us may use the same path.
      if (proc.pidNamespace(stat.pid) !== this.pidns) continue;
      // Both clocks are coarse: a second either way is not an earlier life.
      const age = proc.ageOf(stat.started);
      if (Date.now() - age < from - 1_000) continue;
      const other = found.get(name);
      if (!other || stat.started < other.started) found.set(name, stat);
    }
    return found;
  }

  // ----------------------------------------------------------------- upgrade

  /** Asks the binary on disk whether it works; if so, becomes it. */
  private beginUpgrade(): void {
    if (this.shutdown || this.probing) return;
    const path = ownPath();
    if (path === null || this.settings.program !== "sysmgr") return this.refuseUpgrade("no path");
    const why = whyNotProgram(path);
    if (why !== null) return this.refuseUpgrade(`${path}: ${why}`);
    const answer = libc.pipe();
    if (typeof answer === "number") return this.refuseUpgrade(libc.strerror(answer));
    const pid = libc.spawn({
      path,
      argv: ["sysmgr", "--version"],
      env: new libc.Strings(cleanEnvironment()),
      fds: [[answer.write, 1]],
      limits: this.limits,
      umask: this.umask,
    });
    libc.close(answer.write);
    const timer = setTimeout(() => libc.kill(-pid, SIGNALS.KILL), config.UPGRADE_PROBE);
    const onEnd = (exit: Exit) => {
      this.probing = false;
      clearTimeout(timer);
      const text = libc.readText(answer.read);
      libc.close(answer.read);
      const works = "code" in exit && exit.code === 0 && /^sysmgr \S+\n$/.test(String(text));
      if (works) this.prepareUpgrade(path);
      else this.refuseUpgrade(`${path} --version ${describeExit(exit)}`);
    };
    this.probing = true;
    if (pid < 0) onEnd({ unknown: true });
    else this.helpers.set(pid, onEnd);
  }

  /**
   * Signals that the runtime has taken, and not given to us yet, would go with it. So from here
   * on they wait in the kernel, for our successor; what was taken before is given to us in its
   * order, so that one more, sent by ourselves, comes when all of it has been acted on.
   */
  private prepareUpgrade(path: string): void {
    holdSignals();
    const giveUp = setTimeout(() => {
      process.removeAllListeners("SIGURG");
      this.refuseUpgrade("signals do not come through");
    }, config.UPGRADE_PROBE);
    process.once(
      "SIGURG",
      this.guarded(() => {
        clearTimeout(giveUp);
        this.upgrade(path);
      }),
    );
    libc.kill(process.pid, SIGNALS.URG);
  }

  /** The same process, the same children, another program: it adopts what RUNDIR tells. */
  private upgrade(path: string): void {
    for (const s of this.services.values()) {
      if (!s.saved) this.save(s);
      this.markAgain(s);
    }
    if (this.shutdown) return this.refuseUpgrade("shutting down");
    const unsaved = [...this.services.values()].some((s) => !s.saved || s.unmarked);
    if (unsaved) return this.refuseUpgrade("RUNDIR cannot be written");
    this.log.write("info", `becoming ${path}`);
    const { lock, limits, umask } = this;
    // Without us a pipe that nobody else has open would lose what is in it.
    this.keepInputs(true);
    const code = becomeSuccessor(path, { lock, nofile: limits.soft, umask, command: this.main });
    this.keepInputs(false);
    this.refuseUpgrade(`${path}: ${libc.strerror(code)}`);
  }

  private keepInputs(kept: boolean): void {
    for (const { input, taps } of this.services.values()) {
      const held = [input, ...Object.values(taps ?? {})];
      for (const fd of held) if (fd !== null) libc.setCloseOnExec(fd, !kept);
    }
  }

  private refuseUpgrade(why: string): void {
    libc.unblockSignals();
    this.log.write("error", `cannot upgrade: ${escapeBytes(why)}`);
    this.rundir.finish(SUPERVISOR, "upgrade");
  }

  // ------------------------------------------------------------ prefixed output

  /**
   * A process of its own reads what services write, so that we are not on the way of it. It lives
   * as long as the pipe to it is open, and is started again when it ends before that.
   */
  private startPrefixer(): void {
    const { prefix } = this.settings;
    if (!prefix) return;
    const pipe = libc.pipe();
    const begun = now();
    const pid =
      typeof pipe === "number"
        ? pipe
        : libc.spawn({
            path: "/proc/self/exe",
            argv: ["sysmgr-prefix", ...prefix, this.rundir.path],
            env: new libc.Strings(runtimeEnvironment()),
            fds: [
              [pipe.read, 0],
              [this.rundir.fd, RUNDIR_FD],
            ],
            limits: libc.getFileLimits(),
            umask: this.umask,
          });
    if (typeof pipe !== "number") libc.close(pipe.read);
    const again = this.guarded(() => this.startPrefixer());
    if (typeof pipe === "number" || pid < 0) {
      if (typeof pipe !== "number") libc.close(pipe.write);
      this.once("prefix", `cannot run sysmgr-prefix: ${libc.strerror(pid)}`);
      setTimeout(again, config.SPAWN_RETRY);
      return;
    }
    const prefixer = { pid, pipe: pipe.write };
    this.prefixer = prefixer;
    this.helpers.set(pid, (exit) => {
      this.prefixer = null;
      if (prefixer.pipe === null) return this.sweep();
      libc.close(prefixer.pipe);
      this.log.write("error", `sysmgr-prefix ${describeExit(exit)}; restarting`);
      setTimeout(again, now() - begun < config.MIN_UPTIME ? config.SPAWN_RETRY : 0);
    });
  }

  /** With the pipe closed it reads what is left, and ends. True until it has. */
  private endPrefixer(): boolean {
    if (!this.prefixer) return false;
    if (this.prefixer.pipe !== null) libc.close(this.prefixer.pipe);
    this.prefixer.pipe = null;
    return true;
  }

  // ------------------------------------------------------------ main program

  /** What a predecessor has started goes on, or its end is found when children are reaped. */
  private resumeMain(): void {
    const { command, running } = this.settings;
    if (command?.length) this.terminal = ownTerminal();
    if (running) this.followMain(running);
  }

  /**
   * Starts the main program: in our session, so that the terminal is its own, but in a process
   * group of its own in the foreground, so that ctrl-C is for it alone.
   */
  private startMain(): void {
    const { command = [], running } = this.settings;
    const [name] = command;
    if (name === undefined || running) return;
    const path = findProgram(name);
    const before = libc.bootTime();
    const pid =
      path === null
        ? -E.NOENT
        : libc.spawn({
            path,
            argv: command,
            env: new libc.Strings(this.variables),
            fds: [],
            limits: this.limits,
            umask: this.umask,
            sameSession: "group",
          });
    if (pid < 0) {
      this.log.write("error", `cannot run ${escapeBytes(name)}: ${libc.strerror(pid)}`);
      return this.beginShutdown(pid === -E.NOENT ? NOT_FOUND : CANNOT_RUN, "no main program");
    }
    this.giveTerminal(pid);
    this.followMain({ pid, started: proc.startTime(pid, before, libc.bootTime()) });
  }

  private followMain(main: ProcessId): void {
    this.main = main;
    this.mainGroup = main.pid;
    this.helpers.set(main.pid, (exit) => {
      this.takeTerminal(main.pid);
      this.main = null;
      this.mainExit = exit;
      const name = escapeBytes(this.settings.command?.[0] ?? "");
      if (this.shutdown) this.leaveIndependent();
      else this.beginShutdown(null, `${name} ${describeExit(exit)}`);
    });
  }

  /** The terminal is the main program's as long as that runs, if it was ours. */
  private giveTerminal(group: number): void {
    const { terminal } = this;
    if (libc.foreground(terminal) === libc.processGroup()) libc.setForeground(terminal, group);
    // Quicker than we were, it may have been stopped for reading in the background.
    libc.kill(-group, SIGNALS.CONT);
  }

  private takeTerminal(group: number): void {
    const { terminal } = this;
    if (libc.foreground(terminal) === group) libc.setForeground(terminal, libc.processGroup());
  }

  /**
   * Stopped by its terminal (ctrl-Z): so are we, for the shell that started us, which continues us
   * both. Without such a shell it goes on.
   */
  private suspendWithMain(): void {
    const { main } = this;
    if (!main || !JOB_CONTROL.includes(libc.stoppedBy(main.pid))) return;
    this.takeTerminal(main.pid);
    if (libc.getsid(0) !== process.pid) libc.kill(process.pid, SIGNALS.STOP);
    this.giveTerminal(main.pid);
  }

  /** True when the main program got the signal in our place. */
  private forward(signal: NodeJS.Signals): boolean {
    if (!this.main || !(FORWARDED as readonly string[]).includes(signal)) return false;
    const number = SIGNALS[signal.slice(3) as keyof typeof SIGNALS];
    return libc.kill(this.main.pid, number) >= 0;
  }

  // ---------------------------------------------------------------- shutdown

  /** Stops everything in order; a second call makes it quick. No code: the main program's, or 0. */
  private beginShutdown(code: number | null, why: string): void {
    if (this.shutdown) return this.hurry(why);
    this.log.write("info", `${why}: stopping ${this.byPid.size} services`);
    this.shutdown = {
      began: now(),
      code,
      dependents: this.dependents(),
      killAt: now() + config.SHUTDOWN_KILL,
      sessions: new Set(this.byPid.keys()),
      swept: new Set(),
      timers: new Set(),
    };
    this.at(config.SHUTDOWN_TERM, () => this.leaveAll());
    this.at(config.SHUTDOWN_KILL, () => this.killAll());
    this.at(config.SHUTDOWN_LOGGERS, () => this.killLoggers());
    this.at(config.SHUTDOWN_END, () => this.end());
    for (let ms = 1_000; ms < config.SHUTDOWN_END; ms += 1_000)
      this.at(ms, () => this.reportWaiting());
    const { main } = this;
    if (main) for (const signal of stopSignals(null)) libc.kill(main.pid, signal);
    this.leaveIndependent();
  }

  /** Runs a step so long after the shutdown began. */
  private at(ms: number, step: () => void): void {
    const { shutdown } = this;
    if (!shutdown) return;
    shutdown.timers.add(setTimeout(this.guarded(step), Math.max(0, shutdown.began + ms - now())));
  }

  private hurry(why: string): void {
    const { shutdown } = this;
    if (!shutdown) return;
    const killAt = Math.min(shutdown.killAt, now() + config.SHUTDOWN_HURRY);
    if (killAt === shutdown.killAt) return;
    this.log.write("info", `${why} again: KILL in ${config.SHUTDOWN_HURRY / 1000} s`);
    shutdown.killAt = killAt;
    this.leaveAll();
    const ms = killAt - shutdown.began;
    this.at(ms, () => this.killAll());
    this.at(ms + config.SHUTDOWN_LOGGERS - config.SHUTDOWN_KILL, () => this.killLoggers());
  }

  /**
   * Who depends on whom, among those that run: on its logger, and on what it asked for. Edges
   * within a cycle do not count.
   */
  private dependents(): Map<Service, Set<Service>> {
    // One whose finish script runs has yet to end, too.
    const isThere = ({ life }: Service) => life.process !== null || life.end !== null;
    const running = [...this.services.values()].filter(isThere);
    const needs = new Map(
      running.map((s) => {
        const names = this.rundir.depends(s.name);
        if (s.piped) names.push(loggerOf(s.name));
        const needed = names.map((n) => this.services.get(n));
        return [s, needed.filter((d) => d && isThere(d))] as const;
      }),
    );
    const reaches = (from: Service, to: Service, seen = new Set<Service>()): boolean => {
      if (from === to) return true;
      if (seen.has(from)) return false;
      seen.add(from);
      return (needs.get(from) ?? []).some((next) => next && reaches(next, to, seen));
    };
    const dependents = new Map(running.map((s) => [s, new Set<Service>()]));
    for (const [s, needed] of needs) {
      for (const d of needed) if (d && !reaches(d, s)) dependents.get(d)?.add(s);
    }
    return dependents;
  }

  /** Stops every service that no running one depends on; the main program may depend on all. */
  private leaveIndependent(): void {
    const { shutdown } = this;
    if (this.main) return;
    for (const s of [...this.services.values()]) {
      if (!s.life.leaving && !shutdown?.dependents.get(s)?.size) this.apply(s, { type: "leave" });
    }
    this.sweep();
  }

  private leaveAll(): void {
    for (const s of [...this.services.values()]) this.apply(s, { type: "leave" });
  }

  /** A service is gone for good: removed from SYSDIR, or stopped by a shutdown. */
  private depart(s: Service): void {
    const { shutdown } = this;
    if (!shutdown) return this.forget(s);
    this.setTimer(s, null);
    this.services.delete(s.name);
    // One that was started as the shutdown began is in nobody's way, but may be the last.
    shutdown.dependents.delete(s);
    let freed = false;
    for (const others of shutdown.dependents.values()) {
      if (others.delete(s) && others.size === 0) freed = true;
    }
    if (freed) this.leaveIndependent();
    // It looks at every process: once for all that have ended by then.
    this.doAfterwards(this.sweep);
  }

  private reportWaiting(): void {
    const { shutdown } = this;
    const left = this.remaining().map(escapeBytes);
    if (!shutdown || left.length === 0) return;
    const more = left.length > 5 ? ` and ${left.length - 5} more` : "";
    const seconds = Math.max(0, Math.round((shutdown.killAt - now()) / 1000));
    this.log.write("info", `waiting for ${left.slice(0, 5).join(", ")}${more} (${seconds} s left)`);
  }

  /** Whose end is waited for: at last that of who writes down what the others have said. */
  private remaining(): string[] {
    const { command = [] } = this.settings;
    const left = [...(this.main ? command.slice(0, 1) : []), ...this.services.keys()];
    return left.length > 0 || !this.prefixer ? left : ["sysmgr-prefix"];
  }

  /** KILL to all that is left, and to what is left in their sessions; loggers may read what is left. */
  private killAll(): void {
    for (const s of this.services.values()) {
      if (loggedBy(s.name) !== null) continue;
      this.signal(s, SIGNALS.KILL);
      if (s.finish) signalExactly(s.finish, SIGNALS.KILL);
    }
    if (this.main) libc.kill(-this.main.pid, SIGNALS.KILL);
    for (const process of this.leftovers()) signalExactly(process, SIGNALS.KILL);
  }

  private killLoggers(): void {
    for (const s of this.services.values()) this.signal(s, SIGNALS.KILL);
  }

  /**
   * With all services gone, what they left behind goes too, then the loggers, which read on until
   * nobody can write to them any more; then so do we.
   */
  private sweep(): void {
    const { shutdown } = this;
    const left = [...this.services.keys()].every((name) => loggedBy(name) !== null)
      ? this.leftovers()
      : null;
    if (!shutdown || !left || this.main) return;
    const [first] = left;
    if (!first) {
      if (this.services.size === 0 && !this.endPrefixer()) this.end();
      return;
    }
    for (const process of left) {
      if (shutdown.swept.has(process.pid)) continue;
      shutdown.swept.add(process.pid);
      const killed = now() >= shutdown.killAt;
      for (const signal of killed ? [SIGNALS.KILL] : stopSignals(null))
        signalExactly(process, signal);
    }
    whenEnded(
      first,
      this.guarded(() => this.sweep()),
    );
  }

  /**
   * Processes that services have left: in a service's session, or orphans that came to us,
   * with their sessions; those in the main program's group; as PID 1, everybody.
   */
  private leftovers(): ProcessId[] {
    const readers = new Set(
      [...this.byPid].filter(([, s]) => loggedBy(s.name)).map(([pid]) => pid),
    );
    if (this.prefixer) readers.add(this.prefixer.pid);
    const all = proc
      .allStats()
      .filter((p) => p.state !== "Z" && !p.kernel && !readers.has(p.session));
    const own = process.pid;
    if (own === 1) return all.filter((p) => p.pid !== own);
    const sessions = new Set(this.shutdown?.sessions);
    for (const p of all) if (p.ppid === own) sessions.add(p.session);
    sessions.delete(libc.getsid(0));
    return all.filter((p) => sessions.has(p.session) || p.group === this.mainGroup);
  }

  private end(): void {
    const { shutdown } = this;
    if (!shutdown) return;
    for (const timer of shutdown.timers) clearTimeout(timer);
    this.reap();
    // Nobody reads what it writes: it would never end.
    if (this.prefixer) libc.kill(this.prefixer.pid, SIGNALS.KILL);
    this.rundir.empty();
    this.rundir.unlock();
    this.log.write("info", `all stopped after ${formatAge(now() - shutdown.began)}`);
    const exit = this.mainExit ?? (this.main && { signal: SIGNALS.KILL });
    this.ended.resolve(shutdown.code ?? (exit ? exitCode(exit) : 0));
  }
}

const NEWLINE = 10;

/** Our descriptor for one of a program's own. */
type Stream = [from: number, to: number];

/** runit's letters for signals: what stands for each in control/. */
const CONTROL: Readonly<Record<number, string>> = {
  [SIGNALS.TERM]: "t",
  [SIGNALS.STOP]: "p",
  [SIGNALS.CONT]: "c",
  [SIGNALS.HUP]: "h",
  [SIGNALS.ALRM]: "a",
  [SIGNALS.INT]: "i",
  [SIGNALS.QUIT]: "q",
  [SIGNALS.USR1]: "1",
  [SIGNALS.USR2]: "2",
  [SIGNALS.KILL]: "k",
};

const JOB_CONTROL: readonly number[] = [SIGNALS.TSTP, SIGNALS.TTIN, SIGNALS.TTOU];

/** As a shell has it: not to be found, and not to be run. */
const NOT_FOUND = 127;
const CANNOT_RUN = 126;

/** The exit code that tells of another program's end. */
function exitCode(exit: Exit): number {
  if ("code" in exit) return exit.code;
  return "signal" in exit ? 128 + exit.signal : 1;
}

/** setTimeout takes no more, in milliseconds; after that it is set anew. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Room in the environment for the name of a service or its logger. */
const NAME_ROOM = 1_024;

/** Milliseconds of a clock that never jumps. */
function now(): number {
  return performance.now();
}

/**
 * A sysmgr-depends that its script runs, and that may not have written down its wait: not yet, or
 * never, as another user. In a crowd it takes more than SETTLE until it has begun.
 */
function callIn(main: ProcessId | null): ProcessId | null {
  for (const pid of main ? proc.childrenOf(main.pid) : []) {
    if (proc.readName(pid) !== "sysmgr-depends") continue;
    const stat = proc.readStat(pid);
    if (stat?.session === main?.pid && stat?.state !== "Z") return stat;
  }
  return null;
}

/** What a service without a process was waiting for goes on after an adoption. */
function resting({ state, wanted, next, reason }: Status, { delay }: Settings): Partial<Life> {
  const wait = next === null ? 0 : next - Date.now();
  // The wall clock may have jumped: nobody waits longer than it would from the beginning.
  const longest = Math.max(delay?.wait ?? 0, ...config.BACKOFF);
  if (state === "failed") return { state, wanted, reason };
  if (state !== "backoff" || wait <= 0) return {};
  return { state, wanted, reason, due: now() + Math.min(wait, longest) };
}

/** Do two lives differ in what the status file tells? */
function statusDiffers(a: Life, b: Life): boolean {
  const keys = ["wanted", "process", "runs", "short", "exit", "reason"] as const;
  return keys.some((key) => a[key] !== b[key]);
}

/** The terminal that we were started from, through whichever descriptor; minus the errno if there is none. */
function ownTerminal(): number {
  const open = [0, 1, 2].find((fd) => libc.foreground(fd) >= 0);
  return open ?? libc.openat(libc.AT_FDCWD, "/dev/tty", libc.O.RDWR | libc.O.NOCTTY);
}

/** /dev/null for services to read; -1 when what is there is something else. */
function openNull(): number {
  const fd = libc.openat(libc.AT_FDCWD, "/dev/null", libc.O.RDONLY);
  const stat = fd < 0 ? fd : libc.fstat(fd);
  if (typeof stat !== "number" && stat.isCharacterDevice) return fd;
  if (fd >= 0) libc.close(fd);
  return -1;
}
