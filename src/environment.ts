/**
 * What sysmgr must have from outside before it is itself: an environment that only exec can
 * set, and limits for its services that the runtime has overwritten.
 */
import { NOFILE } from "../config.ts";
import { absolutePath, commandLine, environment, getenv, parseCount } from "./bytes.ts";
import * as libc from "./libc.ts";
import * as proc from "./proc.ts";
import type { ProcessId } from "./status.ts";

/**
 * In alphabetical order. No timer for an idle collector (10 wake-ups a second); no helper threads
 * made later, which would abort us when the process table is full; a small heap, and no compiler:
 * what we do is system calls, and interpreted it is as fast. docs/decisions.md has the figures.
 */
const RUNTIME = [
  "BUN_GC_TIMER_DISABLE=1",
  "BUN_JSC_forceMiniVMMode=1",
  "BUN_JSC_largeHeapSize=1000000",
  "BUN_JSC_numberOfGCMarkers=1",
  "BUN_JSC_useBaselineJIT=0",
  "BUN_JSC_useConcurrentJIT=0",
  "BUN_JSC_useWarmUpMarkedBlocks=0",
];

/** What a supervisor hands to the one that replaces it in place; no service sees it. */
const HANDOVER = "SYSMGR_UPGRADE=";

export type Handover = {
  /** The descriptor that holds the lock of RUNDIR. */
  readonly lock: number;
  /** What services get, which cannot be found out a second time. */
  readonly nofile: number;
  readonly umask: number;
  /** The main program, if it runs. */
  readonly command: ProcessId | null;
};

/** All that the scanner has a handler for, and whose default would end or stop it. */
const { TERM, INT, QUIT, HUP, ABRT, ALRM, USR1, USR2, CHLD, TSTP, TTIN, TTOU } = libc.SIGNALS;
const HELD = [TERM, INT, QUIT, HUP, ABRT, ALRM, USR1, USR2, CHLD, TSTP, TTIN, TTOU];

const isOurs = (variable: string) => variable.startsWith("BUN_") || variable.startsWith(HANDOVER);

/** The environment without what is ours: what services get. */
export function cleanEnvironment(): string[] {
  return environment().filter((v) => !isOurs(v));
}

/** The same for a program of ours that runs for long. */
export function runtimeEnvironment(): string[] {
  return [...cleanEnvironment(), ...RUNTIME];
}

/** What our predecessor left to us, if it replaced itself by us. */
export function readHandover(): Handover | null {
  const variable = environment().find((v) => v.startsWith(HANDOVER));
  const numbers = (variable ?? "").slice(HANDOVER.length).split(":").map(parseCount);
  const [lock, nofile, umask, pid, started] = numbers;
  if (lock == null || nofile == null || umask == null) return null;
  return { lock, nofile, umask, command: pid && started ? { pid, started } : null };
}

/** Executes ourselves again, once, unless the runtime was started with exactly these settings. */
export function enterRuntimeEnvironment(): void {
  const found = environment().filter((v) => v.startsWith("BUN_"));
  if (found.sort().join("\0") === RUNTIME.join("\0")) return;
  const handover = readHandover();
  becomeSuccessor("/proc/self/exe", handover);
  // That failed: what we have must do. A supervisor that starts is worth more than its settings.
}

/**
 * Until the successor has its handlers; and as its threads inherit that, only the one that takes
 * them in the end ever can.
 */
export function holdSignals(): void {
  libc.blockSignals(HELD);
}

/** Becomes a program that is to be sysmgr, called as we were; returns (minus the errno) if that fails. */
export function becomeSuccessor(path: string, handover: Handover | null): number {
  const env = runtimeEnvironment();
  if (handover) {
    const { lock, nofile, umask, command } = handover;
    const main = command ? [command.pid, command.started] : [];
    env.push(`${HANDOVER}${[lock, nofile, umask, ...main].join(":")}`);
    libc.setCloseOnExec(handover.lock, false);
  }
  holdSignals();
  const code = libc.execve(path, commandLine(), env);
  libc.unblockSignals();
  if (handover) libc.setCloseOnExec(handover.lock, true);
  return code;
}

/** Where the binary is that we were started from, as it was called; links are not resolved. */
export function ownPath(): string | null {
  const [called = ""] = commandLine();
  const found = findProgram(called);
  return found === null ? null : absolutePath(found);
}

/** How to call ourselves again, as a program of ours: the words before its arguments. */
export function ownCommand(program: string): string[] {
  const path = ownPath() ?? "/proc/self/exe";
  const [, second] = commandLine();
  return path.endsWith("/sysmgr") && second === program ? [path, program] : [path];
}

/** The path of a program, as execvp(3) looks for it; null: it is not on PATH. */
export function findProgram(name: string): string | null {
  if (name.includes("/")) return name;
  const directories = (getenv("PATH") ?? "").split(":").map((d) => `${d || "."}/${name}`);
  return directories.find((path) => libc.executableAt(libc.AT_FDCWD, path) === 0) ?? null;
}

/**
 * The limit on open descriptors that services get. The runtime has raised our own soft limit
 * before our first line; the parent's is what we were started with, if it had our hard limit.
 */
export function serviceFileLimits(option: number | null): libc.Limits {
  const own = libc.getFileLimits();
  return {
    soft: Math.min(option ?? softLimitBelow(process.ppid, own.hard), own.hard),
    hard: own.hard,
  };
}

/** Ours that start others within a limit that is not their own. */
const SUPERVISORS = [
  "sysmgr",
  "runsyssv",
  "runsvdir",
  "runsv",
  "svscan",
  "supervise",
  "pmtr",
  "procmgr",
];

/** The soft limit that a process leaves to its children. A supervisor of ours has had its own raised. */
function softLimitBelow(pid: number, hard: number): number {
  const limits = proc.readFileLimits(pid);
  if (limits?.hard !== hard) return NOFILE;
  if (!SUPERVISORS.includes(proc.readName(pid) ?? "")) return limits.soft;
  const option = proc
    .readCommandLine(pid)
    ?.join(" ")
    .match(/ --nofile[= ](\d+)( |$)/)?.[1];
  return option ? Number(option) : softLimitBelow(proc.readStat(pid)?.ppid ?? 0, hard);
}

/** Descriptors that our own parent left open are nobody's business below us. */
export function closeInherited(): void {
  const open = libc.readDirectory("/proc/self/fd");
  for (const fd of typeof open === "number" ? [] : open) {
    if (Number(fd) > 2) libc.setCloseOnExec(Number(fd), true);
  }
}
