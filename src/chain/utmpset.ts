/** utmpset(8): writes down that nobody is logged in on a terminal line any more. */

import { VERSION } from "../../config.ts";
import { escapeBytes } from "../bytes.ts";
import { err } from "../cli.ts";
import * as libc from "../libc.ts";
import { AT_FDCWD, O } from "../libc.ts";
import { askedForHelp, getopt } from "../log/arguments.ts";
import { reason } from "../log/words.ts";

export const usage = `usage: utmpset [-w] LINE

Write down in the user accounting that nobody is logged in on a terminal line.

  -w           in wtmp, too
  -V           print the version to standard error
  -h, --help   print this, if there is nothing else
`;

const WRONG_USAGE = "usage: utmpset [-w] line\n\n";
const UTMP = "/var/run/utmp";
const WTMP = "/var/log/wtmp";
const WRONG = 1;
const FATAL = 111;

/** glibc's struct utmp: offsets and lengths. */
const wide = process.arch === "arm64";
const SIZE = wide ? 400 : 384;
const TIME = wide ? 344 : 340;
const LINE = { at: 8, length: 32 };
const USER = { at: 44, length: 32 };
const HOST = { at: 76, length: 256 };
const DEAD_PROCESS = 8;

type Field = { readonly at: number; readonly length: number };

class Entry {
  readonly bytes = Buffer.from(new ArrayBuffer(SIZE));

  text({ at, length }: Field): string {
    return this.bytes.toString("latin1", at, at + length).split("\0", 1)[0] ?? "";
  }

  /** Makes it one of somebody who has gone now. */
  end(): void {
    for (const { at, length } of [USER, HOST]) this.bytes.fill(0, at, at + length);
    this.bytes.writeInt16LE(DEAD_PROCESS, 0);
    const { seconds } = libc.wallTime();
    if (wide) this.bytes.writeBigInt64LE(BigInt(seconds), TIME);
    else this.bytes.writeInt32LE(seconds | 0, TIME);
  }
}

/** Ends the program with a message. */
class Trouble extends Error {}

function open(file: string, flags: number): number {
  const fd = libc.openat(AT_FDCWD, file, flags, 0o600);
  if (fd < 0) throw new Trouble(`fatal: unable to open ${file}: ${reason(fd)}`);
  const code = libc.lock(fd);
  if (code < 0) throw new Trouble(`fatal: unable to lock: ${file}: ${reason(code)}`);
  return fd;
}

/** Changes the entry of the line in utmp. */
function endSession(line: string): void {
  const trouble = (why: string) =>
    new Trouble(`warning: unable to logout line ${line} in utmp: ${why}`);
  const fd = open(UTMP, O.RDWR);
  for (let at = 0; ; at += SIZE) {
    const entry = new Entry();
    if (libc.readBytes(fd, entry.bytes, 0, SIZE) !== SIZE) throw trouble("no such entry");
    if (entry.text(USER) === "" || entry.text(LINE) !== line) continue;
    entry.end();
    const n = libc.overwriteBytes(fd, entry.bytes, at);
    if (n !== SIZE) throw trouble(reason(n));
    libc.close(fd);
    return;
  }
}

/** Adds one to wtmp; half a one is taken back. */
function addToHistory(line: string): void {
  const fd = open(WTMP, O.WRONLY | O.NONBLOCK | O.APPEND | O.CREAT);
  const entry = new Entry();
  entry.bytes.write(line.slice(0, LINE.length), LINE.at, "latin1");
  entry.end();
  const before = libc.fstat(fd);
  const n = libc.writeBytes(fd, entry.bytes, 0, SIZE);
  if (n === SIZE) return;
  if (n > 0 && typeof before !== "number") truncate(fd, before.size);
  throw new Trouble(
    `warning: unable to logout line ${line} in wtmp: ${reason(n < 0 ? n : -libc.E.NOSPC)}`,
  );
}

function truncate(fd: number, size: number): void {
  libc.bind({ ftruncate: { args: ["i32", "i64"], returns: "i32" } }).ftruncate(fd, size);
}

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  const { options, rest, wrong } = getopt(args, "wV");
  const [line] = rest;
  const version = options.some(([letter]) => letter === "V");
  if (line === undefined || version || wrong !== null) {
    if (version) err(`utmpset ${VERSION}\n`);
    else if (wrong !== null) err(`utmpset: ${wrong}\n`);
    err(WRONG_USAGE);
    return WRONG;
  }
  try {
    endSession(line);
    if (options.length > 0) addToHistory(line);
    return 0;
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    err(`utmpset: ${escapeBytes(error.message)}\n`);
    return FATAL;
  }
}
