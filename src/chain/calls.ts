/**
 * What the kernel does for these programs alone, on the thread that is to become another program:
 * execve ends the others, so nothing has to be said to them, as libc would.
 * All return a value >= 0, or minus the errno; src/libc.ts has the rules.
 */
import * as libc from "../libc.ts";
import { cstr, result } from "../libc.ts";

const arm = process.arch === "arm64";
const int = "i32";

const c = libc.bind({
  _exit: { args: [int], returns: "void" },
  alarm: { args: ["u32"], returns: "u32" },
  chdir: { args: ["ptr"], returns: int },
  chroot: { args: ["ptr"], returns: int },
  dup2: { args: [int, int], returns: int },
  fchdir: { args: [int], returns: int },
  getpriority: { args: [int, int], returns: int },
  getrlimit: { args: [int, "ptr"], returns: int },
  prctl: { args: [int, "u64", "u64", "u64", "u64"], returns: int },
  sched_setaffinity: { args: [int, "u64", "ptr"], returns: int },
  setpriority: { args: [int, int, int], returns: int },
  setrlimit: { args: [int, "ptr"], returns: int },
  setsid: { args: [], returns: int },
  syscall: { args: ["i64", "i64", "ptr", "ptr", "i64"], returns: int },
});

const SYS_rt_sigaction = arm ? 134 : 13;
const SYS_setgroups = arm ? 159 : 116;
const SYS_setgid = arm ? 144 : 106;
const SYS_setuid = arm ? 146 : 105;
const PR_SET_PDEATHSIG = 1;
const PR_SET_NO_NEW_PRIVS = 38;
const PRIO_PROCESS = 0;

export function chdir(path: string): number {
  return result(c.chdir(cstr(path)));
}

export function fchdir(fd: number): number {
  return result(c.fchdir(fd));
}

export function chroot(path: string): number {
  return result(c.chroot(cstr(path)));
}

export function dup2(from: number, to: number): number {
  return result(c.dup2(from, to));
}

export function setsid(): number {
  return result(c.setsid());
}

/** Supplementary groups: these, and no others. */
export function setgroups(gids: readonly number[]): number {
  return result(c.syscall(SYS_setgroups, gids.length, new Uint32Array(gids), null, 0));
}

export function setgid(gid: number): number {
  return result(c.syscall(SYS_setgid, gid, null, null, 0));
}

export function setuid(uid: number): number {
  return result(c.syscall(SYS_setuid, uid, null, null, 0));
}

/** Adds to the nice value, as nice(3) does: out of range is as far as it goes. */
export function nice(increment: number): number {
  const most = 40;
  const by = Math.max(-most, Math.min(increment, most));
  const value = c.getpriority(PRIO_PROCESS, 0) + by;
  const code = result(c.setpriority(PRIO_PROCESS, 0, value));
  return code === -libc.E.ACCES ? -libc.E.PERM : code;
}

/** Runs on these processors only, which are counted from 0. */
export function setAffinity(processors: readonly number[]): number {
  const set = new Uint8Array(((Math.max(...processors) >> 6) + 1) * 8);
  for (const n of processors) set[n >> 3] = (set[n >> 3] ?? 0) | (1 << (n & 7));
  return result(c.sched_setaffinity(0, set.length, set));
}

/** SIGALRM in so many seconds, in whatever program we are by then. */
export function alarm(seconds: number): void {
  c.alarm(seconds);
}

export function setParentDeathSignal(signal: number): number {
  return result(c.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0));
}

export function setNoNewPrivs(): number {
  return result(c.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/** A resource limit; unlimited is 2^64 - 1. */
export type Limit = { readonly soft: bigint; readonly hard: bigint };

export function getLimit(resource: number): Limit {
  const raw = new BigUint64Array(2);
  c.getrlimit(resource, raw);
  const [soft = 0n, hard = 0n] = raw;
  return { soft, hard };
}

/** As setRawLimit() wants it. */
export function rawLimit({ soft, hard }: Limit): BigUint64Array {
  return new BigUint64Array([soft, hard]);
}

/** Allocates nothing. */
export function setRawLimit(resource: number, limit: BigUint64Array): number {
  return result(c.setrlimit(resource, limit));
}

export function setLimit(resource: number, limit: Limit): number {
  return setRawLimit(resource, rawLimit(limit));
}

/** Of a signal mask in /proc. */
const DIGITS = 16;
/** struct sigaction of the kernel: all zero is the default, without flags. */
const defaultAction = new BigUint64Array(new ArrayBuffer(32));

/**
 * No signal ignored and none held back; what is caught is not inherited, and execve may fail yet.
 * Not by signal(3): libc keeps two for itself, which whoever started us may have ignored.
 */
export function resetSignals(): void {
  const status = String(libc.readFile("/proc/thread-self/status"));
  const [, after = "f".repeat(DIGITS)] = status.split("\nSigIgn:\t", 2);
  const mask = after.slice(0, DIGITS);
  for (const [i, digit] of [...mask].reverse().entries()) {
    const bits = Number.parseInt(digit, 16);
    for (let bit = 0; bit < 4; bit++) {
      const signal = 4 * i + bit + 1;
      if (bits & (1 << bit)) c.syscall(SYS_rt_sigaction, signal, defaultAction, null, 8);
    }
  }
  libc.unblockSignals();
}

/** Ends the process without a look at the runtime, whose descriptors may be gone. */
export function exitNow(code: number): never {
  c._exit(code);
  throw new Error("_exit returned");
}
