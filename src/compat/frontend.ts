/**
 * What the front ends that supervise share: the scanner, and beside it the bridge for those who
 * know SERVICE/supervise (sysmgr-bridge.ts).
 *
 * The bridge is a child of the scanner's process, and no service: it has no name that could be
 * in the way of one, and status shows what people have put there. Its standard output is a pipe
 * that nobody writes to: when that ends the bridge has ended, however, and is begun again. At a
 * shutdown it is among the processes that are left when all services are gone, and so is stopped
 * last. It ends by itself when the scanner does, and when another one takes RUNDIR over, whose
 * own bridge then finds the locks free.
 */
import { MIN_UPTIME } from "../../config.ts";
import { basename, commandLine } from "../bytes.ts";
import { err, Failure } from "../cli.ts";
import { cleanEnvironment } from "../environment.ts";
import * as libc from "../libc.ts";
import { AT_FDCWD, E, O } from "../libc.ts";
import { reason } from "../log/words.ts";
import { RunDir } from "../rundir.ts";
import { type SourceEvents, SysDir } from "../sysdir.ts";
import { type Invocation, supervise } from "../sysmgr.ts";
import { holdOpen, isTaken } from "./bridge-files.ts";
import { type Format, statusBytes } from "./bridge-format.ts";

export type FrontEnd = {
  /** Under which name the scanner's errors are written. */
  readonly program: string;
  readonly sysdir: string;
  readonly rundir: string;
  readonly source: SysDir;
  /** Whose clients the bridge is to satisfy. */
  readonly format: Format;
  /** There is one service, and the command `x` ends its supervisor. */
  readonly alone: boolean;
  readonly signals: NonNullable<Invocation["signals"]>;
};

/** Supervises until it is told to end; resolves to the exit code. Throws Failure if it cannot begin. */
export function runFrontEnd(frontEnd: FrontEnd): Promise<number> {
  const { program, sysdir, rundir, source, format, alone, signals } = frontEnd;
  const options = ["-f", format, "-d", sysdir, "-r", rundir, ...(alone ? ["-x"] : [])];
  const begun = () => keepBridge(["sysmgr-bridge", ...options]);
  return supervise(source, rundir, {
    program,
    level: "error",
    nofile: null,
    sysdir,
    signals,
    begun,
  });
}

/** Starts it, and again when it has ended. */
function keepBridge(argv: readonly string[]): void {
  const began = performance.now();
  const again = () => {
    const isGood = performance.now() - began >= MIN_UPTIME;
    setTimeout(() => keepBridge(argv), isGood ? 0 : MIN_UPTIME);
  };
  const life = libc.pipe();
  if (typeof life === "number") return again();
  const pid = libc.spawn({
    path: "/proc/self/exe",
    argv,
    env: new libc.Strings(cleanEnvironment()),
    fds: [[life.write, 1]],
    limits: libc.getFileLimits(),
    umask: 0o022,
  });
  libc.close(life.write);
  if (pid < 0) err(`sysmgr-bridge: cannot start: ${libc.strerror(pid)}\n`);
  void untilEnd(life.read).then(again);
}

async function untilEnd(fd: number): Promise<void> {
  const reader = Bun.file(fd).stream().getReader();
  try {
    while (!(await reader.read()).done);
  } catch {
    // an error is an end, too
  }
  libc.close(fd);
}

/** The bridge has come to a new service within this. */
const HOLD = 5_000;
let held = 0;

/**
 * A service is about to be started whose script may begin with `sv o .`, and the bridge may not
 * have come to it yet: until then what is written to control stays there.
 */
export function awaitBridge(path: string, format: Format): void {
  // Descriptors are for the services first.
  if (held * 8 > libc.getFileLimits().soft) return;
  const view = {
    state: "down",
    pid: 0,
    wanted: "up",
    paused: false,
    gotTerm: false,
    asked: true,
  } as const;
  const release = holdOpen(path, statusBytes({ ...view, since: Date.now() }, format));
  if (!release) return;
  held++;
  const end = () => {
    held--;
    release();
  };
  setTimeout(end, HOLD);
}

/** A lock tells nobody that it is free: it is looked at so often while a service waits for it. */
const LOOK = 1_000;

/** Subdirectories, and links to some: files are no services to runsvdir and svscan. */
export class ServiceDirectories extends SysDir {
  private readonly taken = new Set<string>();
  private timer: Timer | null = null;
  private events: SourceEvents | null = null;

  constructor(
    path: string,
    private readonly format: Format,
  ) {
    super(path);
  }

  override names(): string[] | { reason: string } {
    const names = super.names();
    return Array.isArray(names) ? names.filter((name) => this.isDirectory(name)) : names;
  }

  override has(name: string): boolean {
    return super.has(name) && this.isDirectory(name);
  }

  override watch(...args: Parameters<SysDir["watch"]>): number {
    this.events = args[1];
    return super.watch(...args);
  }

  /** Nothing is started beside a supervisor of another kind, until that is gone. */
  override inspect(name: string): ReturnType<SysDir["inspect"]> {
    const target = super.inspect(name);
    if ("reason" in target) return target;
    const path = `${this.path}/${name}`;
    if (isTaken(path)) {
      this.taken.add(name);
      this.timer ??= setInterval(() => this.lookAtTaken(), LOOK);
      return { reason: "another supervisor has locked its supervise/lock" };
    }
    awaitBridge(path, this.format);
    return target;
  }

  private lookAtTaken(): void {
    const free = [...this.taken].filter((name) => !isTaken(`${this.path}/${name}`));
    for (const name of free) {
      this.taken.delete(name);
      this.events?.entry(name);
    }
    if (this.taken.size > 0 || !this.timer) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  /** What cannot be told is kept: it is reported when it cannot be started. */
  private isDirectory(name: string): boolean {
    const stat = libc.stat(`${this.path}/${name}`);
    return typeof stat === "number" || stat.isDirectory;
  }
}

/** The path of a directory without links, so that a link to it may be changed later. */
export function realPath(directory: string): string | number {
  const fd = libc.openat(AT_FDCWD, directory, O.PATH | O.DIRECTORY);
  if (fd < 0) return fd;
  const real = libc.readLink(`/proc/self/fd/${fd}`);
  libc.close(fd);
  return real;
}

/**
 * Makes DIRECTORY/.sysmgr, or what it is a link to. Returns its path; throws Failure, in the words
 * of the originals, when it cannot be made, or somebody else works there.
 */
export function makeRundir(directory: string): string {
  const path = `${directory}/.sysmgr`;
  const target = libc.readLink(path);
  const led =
    typeof target === "number" || target.startsWith("/") ? target : `${directory}/${target}`;
  const umask = process.umask(0o022);
  const rundir = RunDir.make(typeof led === "number" ? path : led);
  process.umask(umask);
  if (typeof rundir === "number") {
    const hint = "make it a link to a directory that can be written";
    throw new Failure(`unable to make ${path}: ${reason(rundir)} (${hint})`, 111);
  }
  const pid = rundir.supervisor();
  rundir.close();
  if (pid !== null && isLocked(path)) {
    throw new Failure(`unable to lock ${path}: ${reason(E.AGAIN)} (held by process ${pid})`, 111);
  }
  return path;
}

function isLocked(rundir: string): boolean {
  const fd = libc.openat(AT_FDCWD, `${rundir}/.lock`, O.RDWR | O.NOFOLLOW);
  if (fd < 0) return false;
  const code = libc.lockNow(fd);
  libc.close(fd);
  return code === -E.AGAIN;
}

/** The name by which a program was called, as those of runit print it. */
export function calledAs(program: string): string {
  const [called = program] = commandLine();
  return basename(called) === "sysmgr" ? program : called;
}

/** Ends as the signal would have ended us: what the originals do that have no handler for it. */
export function dieBy(signal: number): never {
  libc.defaultSignal(signal);
  libc.unblockSignals();
  libc.kill(process.pid, signal);
  process.exit(128 + signal);
}
