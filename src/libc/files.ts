/** Files and directories by their paths, and what is in them. */
import { READ_LIMIT } from "../../config.ts";
import { addressOf, c, cstr, PATH_MAX, result } from "./binding.ts";
import { AT_FDCWD, arm, E, O } from "./constants.ts";

const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EACCESS = 0x200;
const AT_EMPTY_PATH = 0x1000;
const UNCHANGED = 0xffffffff;
const X_OK = 1;
const SYS_statx = arm ? 291 : 332;
const SYS_getdents64 = arm ? 61 : 217;
const SYS_openat2 = 437;

/** Mount points, links of both kinds, and what is above the directory, are not passed. */
const RESOLVE_INSIDE = 0xfn;

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
  const fd = result(c.syscall(SYS_openat2, dir, addressOf(cstr(path)), addressOf(openHow), 24, 0));
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
  const [where, into] = [addressOf(cstr(path)), addressOf(statxBuffer)];
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
  const into = addressOf(direntBuffer);
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
  return result(c.read(fd, addressOf(bytes, at), length));
}

/** One write of bytes[from] up to, but not including, bytes[to]; the number written. */
export function writeBytes(fd: number, bytes: Uint8Array, from: number, to: number): number {
  return result(c.write(fd, addressOf(bytes, from), to - from));
}

/** The same at a place in the file (its beginning), wherever the descriptor stands. */
export function overwriteBytes(fd: number, bytes: Uint8Array, at = 0): number {
  return result(Number(c.pwrite(fd, addressOf(bytes), bytes.length, at)));
}
