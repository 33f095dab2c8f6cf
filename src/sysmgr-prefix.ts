/**
 * sysmgr-prefix(8): reads what services write and puts their names in front of each line.
 *
 * sysmgr starts it and makes the FIFOs (rundir.ts); what is in them waits while none of us runs.
 * One loop on poll(2), which reads only what is there: so when our standard input ends, because
 * sysmgr has closed it or has died, all that was written so far can be read to its end. Only then
 * does the next one begin.
 */

import { CLIENT_POLL } from "../config.ts";
import { absolutePath, escapeBytes, writeAll } from "./bytes.ts";
import { answeredHelp, Failure, parseOptions, UsageError } from "./cli.ts";
import * as libc from "./libc.ts";
import { IN } from "./libc.ts";
import { RUNDIR_FD, RunDir, TAPS, type Tap } from "./rundir.ts";

export const usage = `usage: sysmgr-prefix [-hV] [-t] RUNDIR

Write the output of services with their names in front; sysmgr --prefix runs it.

  -t           put the time there, too
  -h, --help   print this
  -V           print the version
`;

/** A longer line is written in pieces. */
const LINE_LIMIT = 65_536;

/** What a pipe holds; and what it can hold at most, if its service has made it larger. */
const READ_SIZE = 65_536;
const PIPE_LIMIT = 1_048_576;
const LF = 10;

/** Where what comes from which FIFO goes. */
const DESCRIPTORS: Record<Tap, number> = { stdout: 1, stderr: 2 };

export function main(args: string[]): number {
  const options = parseOptions(args, {
    boolean: ["h", "V", "t"],
    alias: { h: "help", V: "version" },
  });
  if (answeredHelp(options, usage)) return 0;
  const [path, more] = options.operands;
  if (path === undefined) throw new UsageError("a directory is needed");
  if (more !== undefined) throw new UsageError(`unexpected argument ${more}`);
  const rundir = RunDir.open(absolutePath(path));
  if (typeof rundir === "number")
    throw new Failure(`cannot open ${path}: ${libc.strerror(rundir)}`);
  // Somebody may have put another one in the place of that which sysmgr means.
  if (!rundir.isBehind(RUNDIR_FD))
    throw new Failure(`cannot use ${path}: no sysmgr has run us, or it works elsewhere`);
  libc.close(RUNDIR_FD);
  new Prefixer(rundir, options.has("t")).run();
  return 0;
}

/** One FIFO. */
type Source = { readonly fd: number; readonly to: number; readonly label: string; rest: Buffer };

class Prefixer {
  private readonly sources = new Map<string, Source>();
  private readonly buffer = Buffer.from(new ArrayBuffer(READ_SIZE));
  private readonly inotify = libc.inotifyInit();
  /** Null: made anew before the next waiting. */
  private set: libc.PollSet | null = null;
  /** Not all is watched. */
  private deaf = false;

  constructor(
    private rundir: RunDir,
    private readonly stamped: boolean,
  ) {
    for (const kind of TAPS) rundir.tapWatchPath(kind);
    rundir.lockTaps();
    this.look();
  }

  run(): void {
    for (;;) {
      const watched = this.inotify < 0 ? [] : [this.inotify];
      const fds = [...this.sources.values()].map((source) => source.fd);
      const all = [0, ...watched, ...fds];
      this.set ??= new libc.PollSet(all.map((fd) => ({ fd })));
      const blind = this.deaf || !this.rundir.isCurrent();
      const found = this.set.wait(blind ? CLIENT_POLL : -1);
      const ready = new Set(all.filter((_, i) => found[i]));
      if (blind || ready.has(this.inotify)) this.look();
      for (const [key, source] of this.sources) {
        if (ready.has(source.fd) && this.read(source) === 0) this.drop(key, source);
      }
      if (ready.has(0)) return this.finish();
    }
  }

  /** Opens what is new. RUNDIR may be another one now; what was in the old one is read on. */
  private look(): void {
    if (!this.rundir.isCurrent()) {
      const fresh = this.rundir.reopen();
      if (!(fresh instanceof RunDir)) return;
      this.rundir.close();
      this.rundir = fresh;
    }
    const watched = TAPS.map((kind) =>
      libc.inotifyAdd(this.inotify, this.rundir.tapWatchPath(kind), IN.CREATE | IN.DELETE_SELF),
    );
    this.deaf = watched.some((watch) => watch < 0);
    while (libc.readBytes(this.inotify, this.buffer, 0, this.buffer.length) > 0);
    for (const kind of TAPS) {
      for (const name of this.rundir.taps(kind)) this.open(kind, name);
    }
  }

  private open(kind: Tap, name: string): void {
    const fd = this.rundir.readTap(kind, name);
    const stat = libc.fstat(fd);
    if (typeof stat === "number") return;
    const key = `${kind}/${name}/${stat.ino}`;
    if (this.sources.has(key)) {
      libc.close(fd);
      return;
    }
    const label = `${escapeBytes(name)} | `;
    this.sources.set(key, { fd, to: DESCRIPTORS[kind], label, rest: Buffer.alloc(0) });
    this.set = null;
  }

  /** Nobody has it open for writing: its service is gone for good. */
  private drop(key: string, source: Source): void {
    this.write(source, source.rest, true);
    libc.close(source.fd);
    this.sources.delete(key);
    this.set = null;
  }

  /** Reads once: so many bytes, 0 at the end, or minus the errno. */
  private read(source: Source): number {
    const n = libc.readBytes(source.fd, this.buffer, 0, this.buffer.length);
    if (n > 0) this.write(source, Buffer.concat([source.rest, this.buffer.subarray(0, n)]), false);
    return n;
  }

  /** Writes the whole lines, and at the end, or when it is too long, the one that is not. */
  private write(source: Source, bytes: Buffer, isEnd: boolean): void {
    const whole = bytes.lastIndexOf(LF) + 1;
    const rest = bytes.subarray(whole);
    const cut = rest.length > 0 && (isEnd || rest.length >= LINE_LIMIT);
    source.rest = cut ? Buffer.alloc(0) : Buffer.from(rest);
    const text = bytes.toString("latin1", 0, cut ? undefined : whole) + (cut ? "\n" : "");
    if (text === "") return;
    const head = this.stamped ? `${new Date().toISOString()} ${source.label}` : source.label;
    writeAll(
      source.to,
      text.replace(/[^\n]*\n/g, (line) => head + line),
    );
  }

  /** What is left in the pipes, and what was not finished; what is written on is for the next one. */
  private finish(): void {
    this.look();
    for (const source of this.sources.values()) {
      for (let left = PIPE_LIMIT; left > 0; ) {
        const n = this.read(source);
        if (n <= 0) break;
        left -= n;
      }
      this.write(source, source.rest, true);
    }
  }
}
