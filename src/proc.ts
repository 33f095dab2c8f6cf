/** What /proc tells of a process. Everything is null when the process is gone. */
import { parseCount } from "./bytes.ts";
import * as libc from "./libc.ts";

/** USER_HZ: what /proc counts in, the same on every Linux that we build for. */
export const TICKS_PER_SECOND = 100;
const NANOSECONDS_PER_TICK = 10_000_000n;

export type ProcStat = {
  readonly pid: number;
  /** proc(5): R running, S sleeping, Z zombie, ... */
  readonly state: string;
  readonly ppid: number;
  readonly group: number;
  readonly session: number;
  /** Start time in clock ticks since boot: with the pid, the identity of a process. */
  readonly started: number;
  /** A thread of the kernel: nobody can signal it. */
  readonly kernel: boolean;
};

const PF_KTHREAD = 0x200000;

/** How often a process is looked at until its execve is done, and no other one has begun, */
const EXEC_LOOKS = 50;
/** and how often, a millisecond apart, before it counts as one without variables. */
const BARE_LOOKS = 3;

/** The fields of /proc/PID/stat (proc(5)) from the third on. */
export function statFields(pid: number): string[] | null {
  const text = read(`/proc/${pid}/stat`);
  // The name in parentheses may itself hold blanks and parentheses: count from the last one.
  return text === null ? null : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Fields 3 to 6, 9 and 22 of it. */
export function readStat(pid: number): ProcStat | null {
  const fields = statFields(pid);
  return fields && toStat(pid, fields);
}

function toStat(pid: number, fields: readonly string[]): ProcStat {
  return {
    pid,
    state: fields[0] ?? "?",
    ppid: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    started: Number(fields[19]),
    kernel: (Number(fields[6]) & PF_KTHREAD) !== 0,
  };
}

/** False where the kernel's start times follow another clock: then only /proc is asked. */
let clockAgrees: boolean | null = null;

/**
 * When a child of ours was started (ProcStat), between two readings of libc.bootTime(). To ask
 * /proc would wait until the child's execve is done, 0.7 ms; so it is asked only if the clock
 * ticked meanwhile, and until it was once seen to agree.
 */
export function startTime(pid: number, before: bigint, after: bigint): number {
  const tick = before / NANOSECONDS_PER_TICK;
  const certain = tick === after / NANOSECONDS_PER_TICK;
  if (certain && clockAgrees) return Number(tick);
  const started = readStat(pid)?.started ?? 0;
  if (certain && started > 0) clockAgrees ??= started === Number(tick);
  return started;
}

/** The process ids of this pid namespace. */
export function allPids(): number[] {
  const names = libc.readDirectory("/proc");
  return (typeof names === "number" ? [] : names).map(parseCount).filter((pid) => pid !== null);
}

/** Every process of this pid namespace. */
export function allStats(): ProcStat[] {
  return allPids()
    .map(readStat)
    .filter((stat) => stat !== null);
}

/** True while that very process lives (a zombie does not), and is in that session, if one is given. */
export function isAlive(pid: number, started: number, session?: number): boolean {
  const stat = readStat(pid);
  if (stat === null || stat.started !== started) return false;
  return stat.state !== "Z" && stat.state !== "X" && (session ?? stat.session) === stat.session;
}

/** How long ago a start time (ProcStat) was, in milliseconds. */
export function ageOf(started: number): number {
  const uptime = Number(read("/proc/uptime")?.split(" ")[0] ?? 0);
  return Math.max(0, uptime * 1000 - started * (1000 / TICKS_PER_SECOND));
}

/**
 * The environment that a process was started with, NAME=VALUE each; null also where it has none, or
 * it is not ours to read. In the midst of an execve it shows none for a moment, and no place in its
 * memory for any (fields 50 and 51 of its stat): then it is looked at again.
 */
export function readEnviron(pid: number): string[] | null {
  let bare = 0;
  for (let looks = 0; looks < EXEC_LOOKS; looks++) {
    const text = readText(`/proc/${pid}/environ`);
    if (text) return text.split("\0");
    if (text === null) return null;
    const fields = statFields(pid);
    if (fields === null) return null;
    const { kernel, state } = toStat(pid, fields);
    if (kernel || state === "Z" || state === "X") return null;
    const [begin, end] = [fields[47], fields[48]];
    if (begin !== end) continue;
    // The kernel sets the end to the beginning before it counts them.
    if (end !== "0" && ++bare === BARE_LOOKS) return null;
    Bun.sleepSync(1);
  }
  return null;
}

/** What ps(1) calls it. */
export function readName(pid: number): string | null {
  return read(`/proc/${pid}/comm`)?.trimEnd() ?? null;
}

/** Those of its first thread, all that a script has; none where the kernel does not tell. */
export function childrenOf(pid: number): number[] {
  const text = read(`/proc/${pid}/task/${pid}/children`) ?? "";
  return text
    .split(" ")
    .map(parseCount)
    .filter((child) => child !== null);
}

/** The words that it was started with. */
export function readCommandLine(pid: number): string[] | null {
  return read(`/proc/${pid}/cmdline`)?.split("\0") ?? null;
}

/** Differs after every boot. */
export function bootId(): string {
  return read("/proc/sys/kernel/random/boot_id")?.trim() ?? "none";
}

/** Differs between containers: a pid means something only within one of these. */
export function pidNamespace(pid: number | "self" = "self"): string {
  const link = libc.readLink(`/proc/${pid}/ns/pid`);
  return typeof link === "string" ? link.replace(/\D/g, "") : "none";
}

/** The soft and hard limit on open descriptors of another process, from /proc/PID/limits. */
export function readFileLimits(pid: number): { soft: number; hard: number } | null {
  const text = read(`/proc/${pid}/limits`);
  // Without a regular expression, which takes 0.1 ms to compile: every short-lived program pays.
  const [, after] = text?.split("\nMax open files", 2) ?? [];
  if (after === undefined) return null;
  const [soft = "", hard = ""] = after.split(" ").filter((word) => word !== "");
  const number = (s: string) => (s === "unlimited" ? Number.POSITIVE_INFINITY : Number(s));
  return { soft: number(soft), hard: number(hard) };
}

/** Given up to read /proc when all descriptors are in use: "dead" would be the wrong answer. */
let spare = -1;

/** null: the process is gone (its files then cannot be opened, or fail with ESRCH, or are empty). */
function read(path: string): string | null {
  return readText(path) || null;
}

/** null: it cannot be opened or read. */
function readText(path: string): string | null {
  let text = libc.readFile(path);
  if (text === -libc.E.MFILE && spare >= 0) {
    libc.close(spare);
    text = libc.readFile(path);
    keepSpare();
  }
  return typeof text === "string" ? text : null;
}

/** Keeps a descriptor back, so that this module works when there is no other. */
export function keepSpare(): void {
  spare = libc.openat(libc.AT_FDCWD, "/", libc.O.PATH);
}
