/**
 * The directory of a logger: old files, whose names begin with a TAI64N label and so sort by age,
 * then `current`. It is held open, so it does not matter who moves it or ends meanwhile.
 */

import * as libc from "../libc.ts";
import { AT_FDCWD, IN, O } from "../libc.ts";
import * as proc from "../proc.ts";
import { loggedBy, loggerOf, type RunDir } from "../rundir.ts";

const c = libc.bind({ pread: { args: ["i32", "ptr", "u64", "i64"], returns: "i64" } });

const CHUNK = 65_536;
const CURRENT = "current";
/** The directory may belong to the logger's user: its links lead nowhere for us. */
const READ = O.RDONLY | O.NONBLOCK | O.NOFOLLOW;
const PREVIOUS = "previous";
const ALL = Number.POSITIVE_INFINITY;
const LABEL = /^@[0-9a-f]{24}/;
const labelOf = (name = "") => name.slice(0, 25);

export class LogFiles {
  /** The present file, how much of it was read, and the part of a line that it ended with. */
  private fd = -1;
  private inode = 0n;
  private read = 0;
  private partial = "";
  /** The label of the newest old file that there was when it became the present one. */
  private newest = "";

  private constructor(private readonly directory: number) {}

  /** Minus the errno when that is no directory with a log in it. */
  static open(path: string): LogFiles | number {
    const directory = libc.openat(AT_FDCWD, path, O.RDONLY | O.DIRECTORY);
    if (directory < 0) return directory;
    const current = libc.lstat(CURRENT, directory);
    if (typeof current !== "number" && current.isFile) return new LogFiles(directory);
    libc.close(directory);
    return typeof current === "number" ? current : -libc.E.INVAL;
  }

  close(): void {
    if (this.fd >= 0) libc.close(this.fd);
    libc.close(this.directory);
  }

  /** What to give inotify, and the mask, to hear of new lines. */
  get watchPath(): string {
    return `/proc/self/fd/${this.directory}`;
  }
  static readonly watchMask = IN.MODIFY | IN.CREATE | IN.MOVED_TO | IN.DELETE;

  /**
   * The last lines, of all files; after that, more() has what comes next. `size`: no more files are
   * read once there are so many bytes, and of none more than that.
   */
  last(count: number, size = ALL): string[] {
    this.open();
    this.read = sizeOf(this.fd);
    const text = tail(this.fd, this.read, count, size);
    // Not by unshift(): of a million lines it cannot take that many arguments.
    let lines = this.split(text);
    const older = this.older();
    this.newest = labelOf(older.at(-1));
    if (this.isRotating(0n)) older.push(PREVIOUS);
    let room = size - text.length;
    for (const name of older.reverse()) {
      if (lines.length >= count || room <= 0) break;
      const more = this.wholeLines(name, count - lines.length, room);
      room -= more.reduce((sum, line) => sum + line.length + 1, 0);
      lines = more.concat(lines);
    }
    return lines.slice(Math.max(0, lines.length - count));
  }

  /** The lines that were written since; of each file, if there is more, only the last `size` bytes. */
  more(size = ALL): string[] {
    let lines = this.readRest(size);
    const stat = libc.stat(CURRENT, this.directory);
    if (typeof stat === "number" || stat.ino === this.inode) return lines;
    // Another file is the present one. What was written to the last one meanwhile is its rest.
    lines = lines.concat(this.readRest(size));
    const { fd, inode, read } = this;
    this.open();
    if (this.fd < 0 || this.isRotating(inode)) {
      // Not all that lies between the two has its name yet: the next event says so.
      if (this.fd >= 0) libc.close(this.fd);
      Object.assign(this, { fd, inode, read });
      return lines;
    }
    lines = lines.concat(this.takePartial());
    for (const name of this.between(inode)) {
      lines = lines.concat(this.wholeLines(name, ALL, size));
    }
    // Only now: while it is open, no other file gets its inode.
    if (fd >= 0) libc.close(fd);
    return lines.concat(this.readRest(size));
  }

  /** What stands at the end without a newline. */
  takePartial(): string[] {
    const { partial } = this;
    this.partial = "";
    return partial === "" ? [] : [partial];
  }

  private open(): void {
    this.fd = libc.openat(this.directory, CURRENT, READ);
    const stat = libc.fstat(this.fd);
    this.inode = typeof stat === "number" ? 0n : stat.ino;
    this.read = 0;
  }

  private readRest(size: number): string[] {
    const skipped = sizeOf(this.fd) - this.read - size;
    if (skipped > 0) {
      this.read += skipped;
      this.partial = "";
    }
    const text = readRange(this.fd, this.read, ALL);
    this.read += text.length;
    return this.split(text);
  }

  /** Whole lines; what is left waits for its end. */
  private split(text: string): string[] {
    const end = text.lastIndexOf("\n");
    if (end < 0) {
      // Not looked at again: a line may come in ten thousand pieces.
      this.partial += text;
      return [];
    }
    const lines = (this.partial + text.slice(0, end)).split("\n");
    this.partial = text.slice(end + 1);
    return lines;
  }

  /** The old files that are older than the one that is read, which may be an old one by now. */
  private older(): string[] {
    const names = libc.readDirectory(".", this.directory);
    const old = (typeof names === "number" ? [] : names)
      .filter((name) => LABEL.test(name) && labelOf(name) > this.newest)
      .sort();
    const own = old.findIndex((name) => this.inodeOf(name) === this.inode);
    return own < 0 ? old : old.slice(0, own);
  }

  /**
   * The files that came and went while nobody looked, after the one that was read last. That is
   * the first of those that are newer than all that were known: itself, or what a processor has
   * made of it.
   */
  private between(last: bigint): string[] {
    const newer = this.older();
    this.newest = labelOf(newer.at(-1)) || this.newest;
    const at = newer.findIndex((name) => this.inodeOf(name) === last);
    return newer.slice(Math.max(0, at) + 1);
  }

  /** multilog renames twice: another file than these two is on its way to be an old one. */
  private isRotating(last: bigint): boolean {
    const previous = this.inodeOf(PREVIOUS);
    return previous !== null && previous !== last && previous !== this.inode;
  }

  private inodeOf(name: string): bigint | null {
    const stat = libc.stat(name, this.directory);
    return typeof stat === "number" ? null : stat.ino;
  }

  private wholeLines(name: string, count: number, size: number): string[] {
    const fd = libc.openat(this.directory, name, READ);
    if (fd < 0) return [];
    const lines = tail(fd, sizeOf(fd), count, size).split("\n");
    libc.close(fd);
    if (lines.at(-1) === "") lines.pop();
    return lines;
  }
}

const buffer = Buffer.from(new ArrayBuffer(CHUNK));

function readAt(fd: number, at: number, length: number): string {
  const n = Number(c.pread(fd, buffer, length, at));
  return n > 0 ? buffer.toString("latin1", 0, n) : "";
}

function sizeOf(fd: number): number {
  const stat = libc.fstat(fd);
  return typeof stat === "number" ? 0 : stat.size;
}

function readRange(fd: number, from: number, to: number): string {
  const parts: string[] = [];
  for (let at = from; at < to; at += parts.at(-1)?.length ?? 0) {
    const part = readAt(fd, at, Math.min(CHUNK, to - at));
    if (part === "") break;
    parts.push(part);
  }
  return parts.join("");
}

/** No more than so many lines before a place, nor, but for the rest of a block, so many bytes. */
function tail(fd: number, end: number, lines: number, size: number): string {
  if (lines === ALL && size === ALL) return readRange(fd, 0, end);
  if (lines <= 0) return "";
  const parts: string[] = [];
  // One newline more than lines: the last line has one too.
  for (let at = end, found = 0; at > 0 && found <= lines && end - at < size; ) {
    const begin = Math.max(0, at - CHUNK);
    const part = readRange(fd, begin, at);
    found += part.split("\n").length - 1;
    parts.unshift(part);
    at = begin;
  }
  const all = parts.join("").split("\n");
  return all.slice(Math.max(0, all.length - lines - 1)).join("\n");
}

/**
 * The log of a service: of what its logger, or a process in its session, has among its arguments,
 * else where loggers of service directories mostly keep it. null: there is none to be found.
 */
export function findLog(name: string, rundir: RunDir | null, sysdir: string): LogFiles | null {
  const logger = loggedBy(name) === null ? loggerOf(name) : name;
  const leader = rundir?.status(logger)?.process?.pid;
  const places = [
    ...(leader === undefined ? [] : sessionOf(leader).flatMap(placesOf)),
    `${sysdir}/${logger}/main`,
    `${sysdir}/${logger}`,
  ];
  for (const place of places) {
    const files = LogFiles.open(place);
    if (typeof files !== "number") return files;
  }
  return null;
}

/** The logger itself first, then what it has started. */
function sessionOf(leader: number): number[] {
  return [leader, ...proc.allPids().filter((pid) => pid !== leader && libc.getsid(pid) === leader)];
}

/** Whatever among its arguments may be a directory, as that process sees it. */
function placesOf(pid: number): string[] {
  const text = libc.readFile(`/proc/${pid}/cmdline`);
  const words = typeof text === "string" ? text.split("\0").slice(1) : [];
  return words
    .filter((word) => /^[^-+=!]/.test(word))
    .map((word) =>
      word.startsWith("/") ? `/proc/${pid}/root${word}` : `/proc/${pid}/cwd/${word}`,
    );
}
