/**
 * The system calls that Bun lacks: the only importer of bun:ffi.
 *
 * Every call returns what the kernel would: a value >= 0, or minus the errno (compare
 * with E). Nothing here throws. Paths and arguments are byte strings: JavaScript strings
 * in which each character is one byte (latin1), so names that are no UTF-8 survive.
 *
 * Rules that were learned the hard way:
 * - pass a typed array itself in each call, never a cached ptr() of a small one: the
 *   collector moves its storage. What C keeps a pointer to lives in an ArrayBuffer of its own.
 * - errno is read right after the call, before anything else can run.
 */
import { dlopen, type FFIFunction, type Pointer, ptr, read, toArrayBuffer } from "bun:ffi";
import { READ_LIMIT } from "../config.ts";

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
  fcntl: { args: [int, int, int], returns: int },
  flock: { args: [int, int], returns: int },
  fsync: { args: [int], returns: int },
  getrlimit: { args: [int, "ptr"], returns: int },
  getpgid: { args: [int], returns: int },
  getsid: { args: [int], returns: int },
  inotify_add_watch: { args: [int, "ptr", "u32"], returns: int },
  inotify_init1: { args: [int], returns: int },
  inotify_rm_watch: { args: [int, int], returns: int },
  isatty: { args: [int], returns: int },
  kill: { args: [int, int], returns: int },
  fchmodat: { args: [int, "ptr", "u32", int], returns: int },
  fchownat: { args: [int, "ptr", "u32", "u32", int], returns: int },
  linkat: { args: [int, "ptr", int, "ptr", int], returns: int },
  localtime_r: { args: ["ptr", "ptr"], returns: "ptr" },
  mkfifoat: { args: [int, "ptr", "u32"], returns: int },
  mkdirat: { args: [int, "ptr", "u32"], returns: int },
  openat: { args: [int, "ptr", int, "u32"], returns: int },
  poll: { args: ["ptr", "u64", int], returns: int },
  pipe2: { args: ["ptr", int], returns: int },
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
  pwrite: { args: [int, "ptr", "u64", "i64"], returns: "i64" },
  read: { args: [int, "ptr", "u64"], returns: int },
  renameat: { args: [int, "ptr", int, "ptr"], returns: int },
  sendto: { args: [int, "ptr", "u64", int, "ptr", "u32"], returns: "i64" },
  setrlimit: { args: [int, "ptr"], returns: int },
  pthread_sigmask: { args: [int, "ptr", "ptr"], returns: int },
  signal: { args: [int, "u64"], returns: "u64" },
  signalfd: { args: [int, "ptr", int], returns: int },
  socket: { args: [int, int, int], returns: int },
  readlinkat: { args: [int, "ptr", "ptr", "u64"], returns: int },
  strerror: { args: [int], returns: "cstring" },
  symlinkat: { args: ["ptr", int, "ptr"], returns: int },
  tcgetpgrp: { args: [int], returns: int },
  tcsetpgrp: { args: [int, int], returns: int },
  syscall: { args: ["i64", "i64", "i64", "i64", "i64", "i64"], returns: int },
  unlinkat: { args: [int, "ptr", int], returns: int },
  waitid: { args: [int, int, "ptr", int], returns: int },
  waitpid: { args: [int, "ptr", int], returns: int },
  write: { args: [int, "ptr", "u64"], returns: int },
} as const;

const c = bind(signatures);
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
const PATH_MAX = 4096;
const paths = [0, 1].map(() => Buffer.from(new ArrayBuffer(PATH_MAX + 1)));

/** A C string, good until the next one in the same slot is made. */
export function cstr(bytes: string, slot: 0 | 1 = 0): Uint8Array {
  const buffer = paths[slot];
  if (!buffer || bytes.length > PATH_MAX) return Buffer.from(`${bytes}\0`, "latin1");
  buffer[buffer.write(bytes, "latin1")] = 0;
  return buffer;
}

// ---------------------------------------------------------------- constants

/** The errno values we tell apart (asm-generic: the same on every Linux we build for). */
export const E = {
  PERM: 1,
  NOENT: 2,
  SRCH: 3,
  INTR: 4,
  NXIO: 6,
  NOEXEC: 8,
  BADF: 9,
  AGAIN: 11,
  NOMEM: 12,
  ACCES: 13,
  EXIST: 17,
  NOTDIR: 20,
  ISDIR: 21,
  INVAL: 22,
  NFILE: 23,
  MFILE: 24,
  TXTBSY: 26,
  NOSPC: 28,
  SPIPE: 29,
  PIPE: 32,
  NOSYS: 38,
  NOTEMPTY: 39,
  NAMETOOLONG: 36,
  LOOP: 40,
  TIMEDOUT: 110,
} as const;

const arm = process.arch === "arm64";

/** open(2) flags; O_DIRECTORY and O_NOFOLLOW differ between x86-64 and arm64. */
export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NOCTTY: 0o400,
  NONBLOCK: 0o4000,
  DIRECTORY: arm ? 0o40000 : 0o200000,
  NOFOLLOW: arm ? 0o100000 : 0o400000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
} as const;

export const AT_FDCWD = -100;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EACCESS = 0x200;
const AT_EMPTY_PATH = 0x1000;
const UNCHANGED = 0xffffffff;
const X_OK = 1;

/** inotify(7) masks. */
export const IN = {
  MODIFY: 0x2,
  ATTRIB: 0x4,
  CLOSE_WRITE: 0x8,
  MOVED_FROM: 0x40,
  MOVED_TO: 0x80,
  CREATE: 0x100,
  DELETE: 0x200,
  DELETE_SELF: 0x400,
  MOVE_SELF: 0x800,
  Q_OVERFLOW: 0x4000,
  IGNORED: 0x8000,
  ONLYDIR: 0x1000000,
  DONT_FOLLOW: 0x2000000,
  MASK_ADD: 0x20000000,
  ISDIR: 0x40000000,
} as const;

/** Mount points, links of both kinds, and what is above the directory, are not passed. */
const RESOLVE_INSIDE = 0xfn;

const LOCK_EX = 2;
const LOCK_NB = 4;
const RLIMIT_NOFILE = 7;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
const WNOHANG = 1;
const PR_SET_NAME = 15;
const PR_SET_CHILD_SUBREAPER = 36;
const SPAWN_SETPGROUP = 0x02;
const SPAWN_SETSIGDEF = 0x04;
const SPAWN_SETSIGMASK = 0x08;
const SPAWN_SETSID = 0x80;
const POLLIN = 1;
const POLLOUT = 4;
const AF_UNIX = 1;
const AF_INET = 2;
const SOCK_DGRAM = 2;
const SYS_statx = arm ? 291 : 332;
const SYS_getdents64 = arm ? 61 : 217;
// Past 402 the numbers of system calls are the same on every architecture.
const SYS_pidfd_send_signal = 424;
const SYS_pidfd_open = 434;
const SYS_openat2 = 437;
const SYS_pidfd_getfd = 438;

/** Signals by name, as `kill -l` has them (x86-64 and arm64 agree). */
export const SIGNALS = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  PWR: 30,
  SYS: 31,
} as const;

const signalNames = new Map(Object.entries(SIGNALS).map(([name, n]) => [n as number, name]));

/** 15 -> "TERM"; real-time and unknown signals keep their number. */
export function signalName(signal: number): string {
  return signalNames.get(signal) ?? String(signal);
}

/** -2 -> "No such file or directory". */
export function strerror(code: number): string {
  return String(c.strerror(Math.abs(code)));
}

/** The memory that our arguments lie in, as ps(1) shows them, from one address up to another. */
export function memory(from: number, to: number): Uint8Array {
  return new Uint8Array(toArrayBuffer(from as Pointer, 0, to - from));
}

// -------------------------------------------------------------------- files

/** Opens relative to a directory descriptor; close-on-exec always. */
export function openat(dir: number, path: string, flags: number, mode = 0): number {
  const fd = result(c.openat(dir, cstr(path), flags | O.CLOEXEC, mode));
  if (fd === -E.MFILE || fd === -E.NFILE || fd === -E.NOMEM) shortage = true;
  return fd;
}

const openHow = new BigUint64Array(new ArrayBuffer(24));

/**
 * Opens what is in a directory that is not to be trusted: no link is followed, and nothing is
 * entered that is mounted there, which could make us wait for ever.
 */
export function openInside(dir: number, path: string, flags: number): number {
  openHow.set([BigInt(flags | O.CLOEXEC | O.NOFOLLOW), 0n, RESOLVE_INSIDE]);
  const fd = result(c.syscall(SYS_openat2, dir, ptr(cstr(path)), ptr(openHow), 24, 0));
  return fd === -E.NOSYS ? openat(dir, path, flags | O.NOFOLLOW) : fd;
}

let shortage = false;

/** True if something could not be opened since the last call, for want of descriptors or memory. */
export function takeShortage(): boolean {
  const was = shortage;
  shortage = false;
  return was;
}

export function close(fd: number): number {
  return result(c.close(fd));
}

export function mkdirat(dir: number, path: string, mode: number): number {
  return result(c.mkdirat(dir, cstr(path), mode));
}

export function mkfifoat(dir: number, path: string, mode: number): number {
  return result(c.mkfifoat(dir, cstr(path), mode));
}

/** The owner stays; a link is not followed. */
export function chgrpat(dir: number, path: string, gid: number): number {
  return result(c.fchownat(dir, cstr(path), UNCHANGED, gid, AT_SYMLINK_NOFOLLOW));
}

export function renameat(dir: number, from: string, toDir: number, to: string): number {
  return result(c.renameat(dir, cstr(from, 0), toDir, cstr(to, 1)));
}

export function unlinkat(dir: number, path: string): number {
  return result(c.unlinkat(dir, cstr(path), 0));
}

/** A second name for a file; fails where there is one. */
export function linkat(dir: number, from: string, to: string): number {
  return result(c.linkat(dir, cstr(from, 0), dir, cstr(to, 1), 0));
}

/** A link to what need not be there. */
export function symlinkat(target: string, dir: number, path: string): number {
  return result(c.symlinkat(cstr(target, 0), dir, cstr(path, 1)));
}

export function fchmod(fd: number, mode: number): number {
  return result(c.fchmod(fd, mode));
}

export function chmodat(dir: number, path: string, mode: number): number {
  return result(c.fchmodat(dir, cstr(path), mode, 0));
}

/** Waits until what was written to the file is on the disk. */
export function fsync(fd: number): number {
  return result(c.fsync(fd));
}

export function rmdirat(dir: number, path: string): number {
  return result(c.unlinkat(dir, cstr(path), AT_REMOVEDIR));
}

/** 0 when this process, as whom it acts, may execute the file that the path leads to. */
export function executableAt(dir: number, path: string): number {
  return result(c.faccessat(dir, cstr(path), X_OK, AT_EACCESS));
}

// statx(2) and getdents64(2) have the same layouts everywhere; node:fs would add 1 ms to the
// start of every program, and knows no directory descriptors.

/** What a path leads to, or a descriptor stands for. */
export type FileStat = {
  readonly isFile: boolean;
  readonly isDirectory: boolean;
  readonly isLink: boolean;
  readonly isFifo: boolean;
  readonly isCharacterDevice: boolean;
  /** Permission bits, sticky and set-id bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly size: number;
  /** Device and inode: the identity of a file. */
  readonly dev: number;
  readonly ino: bigint;
  /** Last change of the content, in milliseconds since the epoch. */
  readonly modified: number;
};

const STATX_BASIC = 0x7ff;
const statxBuffer = new DataView(new ArrayBuffer(256));

function statx(dir: number, path: string, flags: number): FileStat | number {
  if (path.length > PATH_MAX) return -E.NAMETOOLONG;
  const [where, into] = [ptr(cstr(path)), ptr(statxBuffer)];
  const code = result(c.syscall(SYS_statx, dir, where, flags, STATX_BASIC, into));
  if (code < 0) return code;
  const b = statxBuffer;
  const mode = b.getUint16(0x1c, true);
  const type = mode & 0o170000;
  return {
    isFile: type === 0o100000,
    isDirectory: type === 0o040000,
    isLink: type === 0o120000,
    isFifo: type === 0o010000,
    isCharacterDevice: type === 0o020000,
    mode: mode & 0o7777,
    uid: b.getUint32(0x14, true),
    gid: b.getUint32(0x18, true),
    links: b.getUint32(0x10, true),
    size: b.getUint32(0x2c, true) * 2 ** 32 + b.getUint32(0x28, true),
    dev: b.getUint32(0x88, true) * 2 ** 20 + b.getUint32(0x8c, true),
    ino: b.getBigUint64(0x20, true),
    modified:
      (b.getInt32(0x74, true) * 2 ** 32 + b.getUint32(0x70, true)) * 1000 +
      b.getUint32(0x78, true) / 1e6,
  };
}

/** Follows links. */
export function stat(path: string, dir = AT_FDCWD): FileStat | number {
  return statx(dir, path, 0);
}

/** Of a link itself, if it is one. */
export function lstat(path: string, dir = AT_FDCWD): FileStat | number {
  return statx(dir, path, AT_SYMLINK_NOFOLLOW);
}

export function fstat(fd: number): FileStat | number {
  return statx(fd, "", AT_EMPTY_PATH);
}

const direntBuffer = Buffer.from(new ArrayBuffer(32_768));

/** The names in an open directory, without . and .. */
export function namesIn(fd: number): string[] | number {
  const names: string[] = [];
  for (;;) {
    const n = readNames(fd, names);
    if (n <= 0) return n < 0 ? n : names;
  }
}

/** The first of them: some hundreds, however many there are. */
export function someNamesIn(fd: number): string[] | number {
  const names: string[] = [];
  const n = readNames(fd, names);
  return n < 0 ? n : names;
}

/** Appends what one call gives; 0 at the end, or minus the errno. */
function readNames(fd: number, names: string[]): number {
  const into = ptr(direntBuffer);
  const n = result(c.syscall(SYS_getdents64, fd, into, direntBuffer.length, 0, 0));
  // struct linux_dirent64: inode and offset (64 bits each), length (16), type (8), name.
  for (let at = 0; at < n; at += direntBuffer.readUInt16LE(at + 16)) {
    const end = direntBuffer.indexOf(0, at + 19);
    const name = direntBuffer.toString("latin1", at + 19, end);
    if (name !== "." && name !== "..") names.push(name);
  }
  return n;
}

/** The names in the directory at a path. */
export function readDirectory(path: string, dir = AT_FDCWD, flags = 0): string[] | number {
  const fd = openat(dir, path, O.RDONLY | O.DIRECTORY | flags);
  if (fd < 0) return fd;
  const names = namesIn(fd);
  close(fd);
  return names;
}

const linkBuffer = Buffer.from(new ArrayBuffer(PATH_MAX));

export function readLink(path: string): string | number {
  const n = result(c.readlinkat(AT_FDCWD, cstr(path), linkBuffer, PATH_MAX));
  return n < 0 ? n : linkBuffer.toString("latin1", 0, n);
}

const textBuffer = Buffer.from(new ArrayBuffer(READ_LIMIT));

/** One read of up to READ_LIMIT bytes, as characters; or minus the errno. */
export function readText(fd: number): string | number {
  const n = result(c.read(fd, textBuffer, READ_LIMIT));
  return n < 0 ? n : textBuffer.toString("latin1", 0, n);
}

/** The rest of an open file, as characters; or minus the errno. */
export function readAll(fd: number): string | number {
  let text = "";
  for (;;) {
    const part = readText(fd);
    if (typeof part === "number") return part;
    if (part === "") return text;
    text += part;
  }
}

/** A whole file, as characters; or minus the errno. */
export function readFile(path: string): string | number {
  const fd = openat(AT_FDCWD, path, O.RDONLY);
  if (fd < 0) return fd;
  const text = readAll(fd);
  close(fd);
  return text;
}

/** One write of (at most) the first READ_LIMIT characters, a byte each; the bytes written. */
export function writeText(fd: number, text: string): number {
  const length = textBuffer.write(text, "latin1");
  return result(c.write(fd, textBuffer, length));
}

// The bytes of these three lie in an ArrayBuffer of its own, which the collector never moves.

/** One read of up to `length` bytes to bytes[at]; 0 at the end of file. */
export function readBytes(fd: number, bytes: Uint8Array, at: number, length: number): number {
  return result(c.read(fd, ptr(bytes, at), length));
}

/** One write of bytes[from] up to, but not including, bytes[to]; the number written. */
export function writeBytes(fd: number, bytes: Uint8Array, from: number, to: number): number {
  return result(c.write(fd, ptr(bytes, from), to - from));
}

/** The same at a place in the file (its beginning), wherever the descriptor stands. */
export function overwriteBytes(fd: number, bytes: Uint8Array, at = 0): number {
  return result(Number(c.pwrite(fd, ptr(bytes), bytes.length, at)));
}

function pollOut(fd: number, milliseconds: number): boolean {
  return c.poll(new Int32Array([fd, POLLOUT]), 1, milliseconds) > 0;
}

/** True when a write of up to PIPE_BUF bytes to the descriptor would not block now. */
export function writable(fd: number): boolean {
  return pollOut(fd, 0);
}

/** Waits until the descriptor takes more. */
export function waitWritable(fd: number): void {
  pollOut(fd, -1);
}

const pollBuffer = new Int32Array(new ArrayBuffer(16));

/**
 * Waits until one of two descriptors has something to read, or has ended, at most so many
 * milliseconds (-1: for ever). False for both when the time is over.
 */
export function waitReadable(
  first: number,
  second: number,
  milliseconds: number,
): [first: boolean, second: boolean] {
  pollBuffer.set([first, POLLIN, second, POLLIN]);
  if (c.poll(pollBuffer, 2, milliseconds) <= 0) return [false, false];
  // struct pollfd: the descriptor, then what was asked for and what is so, 16 bits each.
  const ready = (i: number) => (pollBuffer[i] ?? 0) >>> 16 !== 0;
  return [ready(1), ready(3)];
}

/** Descriptors to wait for together. */
export class PollSet {
  private readonly set: Int32Array;

  constructor(readonly fds: readonly number[]) {
    // struct pollfd: the descriptor, then what is asked for and what is so, 16 bits each.
    this.set = new Int32Array(new ArrayBuffer(8 * fds.length));
    for (const [i, fd] of fds.entries()) this.set.set([fd, POLLIN], 2 * i);
  }

  /**
   * Waits until some have something to read, or have ended, at most so many milliseconds (-1: for
   * ever); none after a signal.
   */
  wait(milliseconds: number): number[] {
    if (c.poll(this.set, this.fds.length, milliseconds) <= 0) return [];
    return this.fds.filter((_, i) => (this.set[2 * i + 1] ?? 0) >>> 16 !== 0);
  }
}

/** What poll(2) is to wait for with a descriptor; any fd below 0 is passed over. */
export type Interest = { readonly fd: number; readonly write?: boolean };

/** Waits for any of them, at most so long (-1: for ever). For each: ready, or at its end? */
export function waitAny(interests: readonly Interest[], milliseconds: number): boolean[] {
  const entries = new Int32Array(new ArrayBuffer(8 * interests.length));
  for (const [i, { fd, write }] of interests.entries()) {
    entries.set([fd, write ? POLLOUT : POLLIN], 2 * i);
  }
  const count = c.poll(entries, interests.length, milliseconds);
  return interests.map((_, i) => count > 0 && (entries[2 * i + 1] ?? 0) >>> 16 !== 0);
}

/** Takes the exclusive lock of an open file without waiting; -E.AGAIN when another has it. */
export function lockNow(fd: number): number {
  return result(c.flock(fd, LOCK_EX | LOCK_NB));
}

/** Takes it, waiting until nobody else has it. */
export function lock(fd: number): number {
  for (;;) {
    const code = result(c.flock(fd, LOCK_EX));
    if (code !== -E.INTR) return code;
  }
}

/** True for a terminal. (node:tty would load its streams: 3 ms.) */
export function isTerminal(fd: number): boolean {
  return c.isatty(fd) === 1;
}

/** Our own process group. */
export function processGroup(): number {
  return c.getpgid(0);
}

/** The process group in the foreground of a terminal that is ours; minus the errno if it is not. */
export function foreground(fd: number): number {
  return result(c.tcgetpgrp(fd));
}

/** Puts a process group there, even from the background. */
export function setForeground(fd: number, group: number): number {
  blockSignals([SIGNALS.TTOU]);
  const code = result(c.tcsetpgrp(fd, group));
  unblockSignals();
  return code;
}

export function setCloseOnExec(fd: number, on: boolean): number {
  return result(c.fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
}

/** Reads and writes wait from now on, for whoever shares the open file. */
export function makeBlocking(fd: number): number {
  const flags = result(c.fcntl(fd, F_GETFL, 0));
  return flags < 0 ? flags : result(c.fcntl(fd, F_SETFL, flags & ~O.NONBLOCK));
}

/** Another descriptor for the same file, with a number from `least` on; close-on-exec. */
export function duplicateFrom(fd: number, least: number): number {
  return result(c.fcntl(fd, F_DUPFD_CLOEXEC, least));
}

/** Puts a file into the place of a descriptor; the programs that we start inherit it. */
export function duplicateTo(fd: number, place: number): number {
  return result(c.dup2(fd, place));
}

/** A socket for datagrams over IPv4. */
export function datagramSocket(): number {
  return result(c.socket(AF_INET, SOCK_DGRAM | O.CLOEXEC, 0));
}

/** Sends a datagram; the address is that of four numbers. Returns the bytes sent. */
export function sendTo(
  fd: number,
  bytes: Uint8Array,
  address: readonly number[],
  port: number,
): number {
  // struct sockaddr_in: family (of the machine's order), port and address (of the network's).
  const to = new Uint8Array([
    AF_INET,
    0,
    port >> 8,
    port & 0xff,
    ...address,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
  return result(Number(c.sendto(fd, bytes, bytes.length, 0, to, to.length)));
}

/** A socket for datagrams to other processes of this machine, which never waits. */
export function localSocket(): number {
  return result(c.socket(AF_UNIX, SOCK_DGRAM | O.CLOEXEC | O.NONBLOCK, 0));
}

/** Sends a datagram to the socket at a path. Returns the bytes sent. */
export function sendToPath(fd: number, bytes: Uint8Array, path: string): number {
  // struct sockaddr_un: family (of the machine's order), then the path and its end.
  const to = new Uint8Array([AF_UNIX, 0, ...Buffer.from(`${path}\0`, "latin1")]);
  return result(Number(c.sendto(fd, bytes, bytes.length, 0, to, to.length)));
}

/** A pipe: its reading and its writing end, both close-on-exec; neither waits, by default. */
export function pipe(flags: number = O.NONBLOCK): { read: number; write: number } | number {
  const ends = new Int32Array(2);
  const code = result(c.pipe2(ends, O.CLOEXEC | flags));
  return code < 0 ? code : { read: ends[0] ?? -1, write: ends[1] ?? -1 };
}

// ------------------------------------------------------------------ inotify

/** A close-on-exec, non-blocking inotify instance. */
export function inotifyInit(): number {
  return result(c.inotify_init1(O.NONBLOCK | O.CLOEXEC));
}

export function inotifyAdd(fd: number, path: string, mask: number): number {
  return result(c.inotify_add_watch(fd, cstr(path), mask));
}

export function inotifyRemove(fd: number, watch: number): number {
  return result(c.inotify_rm_watch(fd, watch));
}

// ---------------------------------------------------------------- processes

export function kill(pid: number, signal: number): number {
  return result(c.kill(pid, signal));
}

/** A descriptor that stands for the process; it becomes readable when that one ends. */
export function pidfdOpen(pid: number): number {
  return result(c.syscall(SYS_pidfd_open, pid, O.NONBLOCK, 0, 0, 0));
}

/** Signals exactly the process that the descriptor stands for, never a successor of its pid. */
export function pidfdKill(pidfd: number, signal: number): number {
  return result(c.syscall(SYS_pidfd_send_signal, pidfd, signal, 0, 0, 0));
}

/** Another descriptor for what that process has open under a number; close-on-exec. */
export function pidfdTake(pidfd: number, fd: number): number {
  return result(c.syscall(SYS_pidfd_getfd, pidfd, fd, 0, 0, 0));
}

/** The session of a process (0: our own). */
export function getsid(pid: number): number {
  return result(c.getsid(pid));
}

/** How a process ended: exactly one of the two is set. */
export type WaitStatus = { readonly code: number | null; readonly signal: number | null };

const waitBuffer = new Int32Array(new ArrayBuffer(4));

const CLOCK_BOOTTIME = 7;
const clockBuffer = new BigInt64Array(new ArrayBuffer(16));

/** Nanoseconds since boot: what the start times of processes are counted in. */
export function bootTime(): bigint {
  c.clock_gettime(CLOCK_BOOTTIME, clockBuffer);
  const [seconds = 0n, nanoseconds = 0n] = clockBuffer;
  return seconds * 1_000_000_000n + nanoseconds;
}

/** Milliseconds on CPU of all threads that a process has or had; 0 when it is gone. */
export function cpuTime(pid: number): number {
  // The number of a process's own clock, as clock_getcpuclockid(3) makes it.
  const gone = c.clock_gettime((~pid << 3) | 2, clockBuffer) < 0;
  return gone ? 0 : Number(clockBuffer[0]) * 1e3 + Number(clockBuffer[1]) / 1e6;
}

const CLOCK_REALTIME = 0;

/** Seconds and nanoseconds since the epoch. */
export function wallTime(): { seconds: number; nanoseconds: number } {
  c.clock_gettime(CLOCK_REALTIME, clockBuffer);
  return { seconds: Number(clockBuffer[0]), nanoseconds: Number(clockBuffer[1]) };
}

/** struct tm, as far as POSIX has it: the month counts from 0, the year from 1900. */
export type CalendarTime = {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
};

const tmBuffer = new Int32Array(new ArrayBuffer(64));

/** Local time as TZ has it, leap seconds of "right/" zones included; null when out of range. */
export function localTime(seconds: bigint): CalendarTime | null {
  clockBuffer[0] = seconds;
  if (c.localtime_r(clockBuffer, tmBuffer) === null) return null;
  const [second = 0, minute = 0, hour = 0, day = 0, month = 0, year = 0] = tmBuffer;
  return { year, month, day, hour, minute, second };
}

/** Reaps one ended child, if there is one: its pid and how it ended. */
export function reap(): { pid: number; status: WaitStatus } | null {
  const pid = c.waitpid(-1, waitBuffer, WNOHANG);
  return pid <= 0 ? null : { pid, status: waitStatus() };
}

const P_PID = 1;
const WNOHANG_WSTOPPED = 1 | 2;
const CLD_STOPPED = 5;
const siginfo = new Int32Array(new ArrayBuffer(128));

/** The signal that has stopped a child since this was last asked; 0: none has. */
export function stoppedBy(pid: number): number {
  siginfo.fill(0);
  c.waitid(P_PID, pid, siginfo, WNOHANG_WSTOPPED);
  // si_code, and si_status of siginfo_t for SIGCHLD.
  return siginfo[2] === CLD_STOPPED ? (siginfo[6] ?? 0) : 0;
}

/** Waits for the end of a child. */
export function waitFor(pid: number): WaitStatus | number {
  for (;;) {
    const code = result(c.waitpid(pid, waitBuffer, 0));
    if (code !== -E.INTR) return code < 0 ? code : waitStatus();
  }
}

function waitStatus(): WaitStatus {
  const raw = waitBuffer[0] ?? 0;
  const signal = raw & 0x7f;
  return signal ? { code: null, signal } : { code: (raw >> 8) & 0xff, signal: null };
}

/** Orphans below us become our children (prctl(2)), so that they can be reaped. */
export function becomeSubreaper(): number {
  return result(c.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

/** What ps(1) and pgrep(1) call us: 15 bytes of it. */
export function setProcessName(name: string): void {
  c.prctl(PR_SET_NAME, ptr(cstr(name)), 0, 0, 0);
}

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;

function signalSet(signals: readonly number[]): Uint8Array {
  const set = new Uint8Array(128);
  for (const s of signals) set[(s - 1) >> 3] = (set[(s - 1) >> 3] ?? 0) | (1 << ((s - 1) & 7));
  return set;
}

/**
 * Holds back signals until unblockSignals(), or for the program that we become. Returns whether
 * all of them were held back before.
 */
export function blockSignals(signals: readonly number[]): boolean {
  const before = new Uint8Array(128);
  const set = signalSet(signals);
  c.pthread_sigmask(SIG_BLOCK, set, before);
  return set.every((bits, i) => (bits & ~(before[i] ?? 0)) === 0);
}

/** A descriptor that signals which are held back can be read from (signalfd(2)). */
export function signalDescriptor(signals: readonly number[]): number {
  return result(c.signalfd(-1, signalSet(signals), O.CLOEXEC | O.NONBLOCK));
}

const signalBuffer = new Uint32Array(new ArrayBuffer(128));

/** The next signal from such a descriptor; 0 when there is none. */
export function takeSignal(fd: number): number {
  return c.read(fd, signalBuffer, 128) === 128 ? (signalBuffer[0] ?? 0) : 0;
}

export function unblockSignals(): void {
  c.pthread_sigmask(SIG_SETMASK, new Uint8Array(128), null);
}

/** Gives a signal its default action again, in place of what the runtime installed. */
export function defaultSignal(signal: number): void {
  c.signal(signal, 0);
}

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

/** Becomes another program; returns only when that failed. */
export function execve(path: string, argv: readonly string[], env: readonly string[]): number {
  return execveWith(path, new Strings(argv), new Strings(env));
}

/** The same when there may be no memory any more. */
export function execveWith(path: string, argv: Strings, env: Strings): number {
  return result(c.execve(cstr(path), argv.pointers, env.pointers));
}

export type SpawnRequest = {
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: Strings;
  /** Our descriptor for each of the child's, by the child's number; others are inherited 0-2. */
  readonly fds: readonly (readonly [from: number, to: number])[];
  readonly cwd?: string;
  /** The limits on open descriptors and the umask that the child gets, not necessarily ours. */
  readonly limits: Limits;
  readonly umask: number;
  /** It stays in our session, and dies with it; `group`: in a process group of its own. */
  readonly sameSession?: boolean | "group";
};

// The attributes never change but for the session: all signals at default and unblocked.
let spawnAttributes: Uint8Array | null = null;

function attributes(): Uint8Array {
  if (spawnAttributes) return spawnAttributes;
  // Larger than either libc's posix_spawnattr_t (336) and sigset_t (128).
  const attr = new Uint8Array(new ArrayBuffer(512));
  // Not by sigfillset: that leaves out two that glibc uses, and they would be ignored.
  const all = new Uint8Array(new ArrayBuffer(128)).fill(0xff);
  const none = new Uint8Array(new ArrayBuffer(128));
  c.posix_spawnattr_init(attr);
  c.posix_spawnattr_setsigdefault(attr, all);
  c.posix_spawnattr_setsigmask(attr, none);
  spawnAttributes = attr;
  return attr;
}

const spawnedPid = new Int32Array(new ArrayBuffer(4));
// Larger than either libc's posix_spawn_file_actions_t (80).
const fileActions = new Uint8Array(new ArrayBuffer(256));

/**
 * Starts a program, in a session of its own unless told otherwise, with every signal at default and unblocked.
 * Returns its pid once the program itself runs, or minus the errno of the step that failed
 * (execve's included). A file without #! is given to /bin/sh, as execvp(3) does.
 */
export function spawn(request: SpawnRequest): number {
  // Both are inherited, and posix_spawn has no attribute for them: ours are theirs for a moment.
  const limits = getFileLimits();
  const umask = process.umask(request.umask);
  setFileLimits(request.limits);
  let code = spawnOnce(request.path, request.argv, request);
  if (code === -E.NOEXEC) {
    code = spawnOnce("/bin/sh", ["/bin/sh", request.path, ...request.argv.slice(1)], request);
  }
  setFileLimits(limits);
  process.umask(umask);
  return code;
}

function spawnOnce(path: string, argv: readonly string[], request: SpawnRequest): number {
  const args = new Strings(argv);
  const attr = attributes();
  const group = request.sameSession === "group" ? SPAWN_SETPGROUP : 0;
  const session = request.sameSession ? group : SPAWN_SETSID;
  c.posix_spawnattr_setflags(attr, SPAWN_SETSIGDEF | SPAWN_SETSIGMASK | session);
  c.posix_spawn_file_actions_init(fileActions);
  if (request.cwd !== undefined) {
    c.posix_spawn_file_actions_addchdir_np(fileActions, cstr(request.cwd));
  }
  for (const [from, to] of request.fds) c.posix_spawn_file_actions_adddup2(fileActions, from, to);
  const code = c.posix_spawn(
    spawnedPid,
    cstr(path),
    fileActions,
    attr,
    args.pointers,
    request.env.pointers,
  );
  c.posix_spawn_file_actions_destroy(fileActions);
  return code === 0 ? (spawnedPid[0] ?? 0) : -code;
}

/** The limits on open descriptors, in descriptors; Infinity for "unlimited". */
export type Limits = { readonly soft: number; readonly hard: number };

const limitBuffer = new BigUint64Array(new ArrayBuffer(16));
const RLIM_INFINITY = 0xffffffffffffffffn;

export function getFileLimits(): Limits {
  c.getrlimit(RLIMIT_NOFILE, limitBuffer);
  const [soft = 0n, hard = 0n] = limitBuffer;
  const number = (n: bigint) => (n === RLIM_INFINITY ? Number.POSITIVE_INFINITY : Number(n));
  return { soft: number(soft), hard: number(hard) };
}

export function setFileLimits(limits: Limits): number {
  const raw = (n: number) => (Number.isFinite(n) ? BigInt(n) : RLIM_INFINITY);
  limitBuffer[0] = raw(limits.soft);
  limitBuffer[1] = raw(limits.hard);
  return result(c.setrlimit(RLIMIT_NOFILE, limitBuffer));
}
