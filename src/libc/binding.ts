/**
 * libc, through bun:ffi: nobody else imports that. One table, since to open another one takes as
 * long as all that is in it.
 *
 * Rules that were learned the hard way:
 * - pass a typed array itself in each call, never a cached ptr() of a small one: the
 *   collector moves its storage. What C keeps a pointer to lives in an ArrayBuffer of its own.
 * - errno is read right after the call, before anything else can run.
 */
import { dlopen, type FFIFunction, type Pointer, ptr, read, toArrayBuffer } from "bun:ffi";

const names =
  process.platform === "linux"
    ? ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]
    : [];

const int = "i32";
const signatures = {
  __errno_location: { args: [], returns: "ptr" },
  clock_gettime: { args: [int, "ptr"], returns: int },
  close: { args: [int], returns: int },
  dup2: { args: [int, int], returns: int },
  execve: { args: ["ptr", "ptr", "ptr"], returns: int },
  faccessat: { args: [int, "ptr", int, int], returns: int },
  fchmod: { args: [int, "u32"], returns: int },
  fchmodat: { args: [int, "ptr", "u32", int], returns: int },
  fchownat: { args: [int, "ptr", "u32", "u32", int], returns: int },
  fcntl: { args: [int, int, int], returns: int },
  flock: { args: [int, int], returns: int },
  fsync: { args: [int], returns: int },
  getpgid: { args: [int], returns: int },
  getrlimit: { args: [int, "ptr"], returns: int },
  getsid: { args: [int], returns: int },
  inotify_add_watch: { args: [int, "ptr", "u32"], returns: int },
  inotify_init1: { args: [int], returns: int },
  inotify_rm_watch: { args: [int, int], returns: int },
  isatty: { args: [int], returns: int },
  kill: { args: [int, int], returns: int },
  linkat: { args: [int, "ptr", int, "ptr", int], returns: int },
  localtime_r: { args: ["ptr", "ptr"], returns: "ptr" },
  mkdirat: { args: [int, "ptr", "u32"], returns: int },
  mkfifoat: { args: [int, "ptr", "u32"], returns: int },
  openat: { args: [int, "ptr", int, "u32"], returns: int },
  pipe2: { args: ["ptr", int], returns: int },
  poll: { args: ["ptr", "u64", int], returns: int },
  posix_spawn: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: int },
  posix_spawn_file_actions_addchdir_np: { args: ["ptr", "ptr"], returns: int },
  posix_spawn_file_actions_adddup2: { args: ["ptr", int, int], returns: int },
  posix_spawn_file_actions_destroy: { args: ["ptr"], returns: int },
  posix_spawn_file_actions_init: { args: ["ptr"], returns: int },
  posix_spawnattr_init: { args: ["ptr"], returns: int },
  posix_spawnattr_setflags: { args: ["ptr", "i16"], returns: int },
  posix_spawnattr_setsigdefault: { args: ["ptr", "ptr"], returns: int },
  posix_spawnattr_setsigmask: { args: ["ptr", "ptr"], returns: int },
  prctl: { args: [int, "u64", "u64", "u64", "u64"], returns: int },
  pthread_sigmask: { args: [int, "ptr", "ptr"], returns: int },
  pwrite: { args: [int, "ptr", "u64", "i64"], returns: "i64" },
  read: { args: [int, "ptr", "u64"], returns: int },
  readlinkat: { args: [int, "ptr", "ptr", "u64"], returns: int },
  renameat: { args: [int, "ptr", int, "ptr"], returns: int },
  sendto: { args: [int, "ptr", "u64", int, "ptr", "u32"], returns: "i64" },
  setrlimit: { args: [int, "ptr"], returns: int },
  signal: { args: [int, "u64"], returns: "u64" },
  signalfd: { args: [int, "ptr", int], returns: int },
  socket: { args: [int, int, int], returns: int },
  strerror: { args: [int], returns: "cstring" },
  symlinkat: { args: ["ptr", int, "ptr"], returns: int },
  syscall: { args: ["i64", "i64", "i64", "i64", "i64", "i64"], returns: int },
  tcgetpgrp: { args: [int], returns: int },
  tcsetpgrp: { args: [int, int], returns: int },
  unlinkat: { args: [int, "ptr", int], returns: int },
  waitid: { args: [int, int, "ptr", int], returns: int },
  waitpid: { args: [int, "ptr", int], returns: int },
  write: { args: [int, "ptr", "u64"], returns: int },
} as const;

export const c = bind(signatures);
const errnoAt = c.__errno_location();

/** Functions of libc by name. What few programs need they bind themselves: it takes time at start. */
export function bind<const Signatures extends Record<string, FFIFunction>>(wanted: Signatures) {
  for (const name of names) {
    try {
      return dlopen(name, wanted).symbols;
    } catch {
      // the other libc's name
    }
  }
  throw new Error("cannot load libc: only Linux with glibc or musl is supported");
}

/** Turns C's -1 and errno into the kernel's own convention. */
export function result(value: number): number {
  return value >= 0 || errnoAt === null ? value : -read.i32(errnoAt, 0);
}

/** Room for the longest path, and for the second one of calls that take two: no garbage. */
export const PATH_MAX = 4096;
const paths = [0, 1].map(() => Buffer.from(new ArrayBuffer(PATH_MAX + 1)));

/** A C string, good until the next one in the same slot is made. */
export function cstr(bytes: string, slot: 0 | 1 = 0): Uint8Array {
  const buffer = paths[slot];
  if (!buffer || bytes.length > PATH_MAX) return Buffer.from(`${bytes}\0`, "latin1");
  buffer[buffer.write(bytes, "latin1")] = 0;
  return buffer;
}

/** -2 -> "No such file or directory". */
export function strerror(code: number): string {
  return String(c.strerror(Math.abs(code)));
}

/** The memory that our arguments lie in, as ps(1) shows them, from one address up to another. */
export function memory(from: number, to: number): Uint8Array {
  return new Uint8Array(toArrayBuffer(from as Pointer, 0, to - from));
}

/** Where C finds the bytes of an array that the collector does not move. */
export const addressOf = ptr;

/** A NULL-terminated char*[] as C wants it: arguments, or an environment. */
export class Strings {
  readonly pointers: BigUint64Array;
  private readonly bytes: Buffer;
  private readonly count: number;
  private readonly used: number;

  /** With room (in bytes) for one more string, which setLast() may change again and again. */
  constructor(strings: readonly string[], room = 0) {
    const joined = strings.map((s) => `${s}\0`).join("");
    // An ArrayBuffer of its own stays where it is: C is given its address.
    this.bytes = Buffer.from(new ArrayBuffer(joined.length + room + 1));
    this.bytes.write(joined, "latin1");
    this.count = strings.length;
    this.used = joined.length;
    this.pointers = new BigUint64Array(new ArrayBuffer(8 * (strings.length + 2)));
    let at = ptr(this.bytes) as number;
    for (const [i, s] of strings.entries()) {
      this.pointers[i] = BigInt(at);
      at += s.length + 1;
    }
  }

  /** Puts a string after the given ones, in place of an earlier one; false without room for it. */
  setLast(string: string): boolean {
    const end = this.used + string.length;
    if (end >= this.bytes.length) return false;
    this.bytes.write(string, this.used, "latin1");
    this.bytes[end] = 0;
    this.pointers[this.count] = BigInt(ptr(this.bytes) + this.used);
    return true;
  }
}
