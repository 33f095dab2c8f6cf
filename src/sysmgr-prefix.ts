/**
 * sysmgr-prefix(8): reads what services write and puts their names in front of each line.
 *
 * sysmgr starts it and makes the FIFOs (rundir.ts); what is in them waits while none of us runs.
 * One loop on poll(2), which reads only what is there: so when our standard input ends, because
 * sysmgr has closed it or has died, all that was written so far can be read to its end. Only then
 * does the next one begin.
 */

import { absolutePath, escapeBytes, writeAll } from "./bytes.ts";
import { answeredHelp, Failure, parseOptions, UsageError } from "./cli.ts";
import * as libc from "./libc.ts";
import { E, IN } from "./libc.ts";
import { RunDir, TAPS, type Tap } from "./rundir.ts";

export const usage = `usage: sysmgr-prefix [-hV] [-t] RUNDIR

Write the output of services with their names in front; sysmgr --prefix runs it.

  -t           put the time there, too
  -h, --help   print this
  -V           print the version
`;

/** A longer line is written in pieces. */
const LINE_LIMIT = 65_536;

/** What a pipe holds at most, if nobody has made it larger. */
const READ_SIZE = 65_536;
const PIPE_READS = 2;
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
  new Prefixer(rundir, options.has("t")).run();
  return 0;
}

/** One FIFO. */
type Source = { readonly fd: number; readonly to: number; readonly label: string; rest: Buffer };

class Prefixer {
  private readonly sources = new Map<string, Source>();
  private readonly buffer = Buffer.from(new ArrayBuffer(READ_SIZE));
  private readonly inotify: number;
  /** Null: made anew before the next waiting. */
  private set: libc.PollSet | null = null;

  constructor(
    private readonly rundir: RunDir,
    private readonly stamped: boolean,
  ) {
    this.inotify = libc.inotifyInit();
    for (const kind of TAPS)
      libc.inotifyAdd(this.inotify, rundir.tapWatchPath(kind), IN.CREATE | IN.DELETE);
    rundir.lockTaps();
    this.look();
  }

  run(): void {
    for (;;) {
      const watched = this.inotify < 0 ? [] : [this.inotify];
      this.set ??= new libc.PollSet([
        0,
        ...watched,
        ...[...this.sources.values()].map((s) => s.fd),
      ]);
      const ready = new Set(this.set.wait());
      if (ready.has(this.inotify)) this.look();
      for (const source of this.sources.values()) if (ready.has(source.fd)) this.read(source);
      if (ready.has(0)) return this.finish();
    }
  }

  /** Opens what is new; what was removed has nobody who writes to it. */
  private look(): void {
    while (libc.readBytes(this.inotify, this.buffer, 0, this.buffer.length) > 0);
    for (const [key, source] of this.sources) {
      const stat = libc.fstat(source.fd);
      if (typeof stat !== "number" && stat.links > 0) continue;
      this.readAll(source);
      libc.close(source.fd);
      this.sources.delete(key);
      this.set = null;
    }
    for (const kind of TAPS) {
      for (const name of this.rundir.taps(kind)) {
        const key = `${kind}/${name}`;
        if (this.sources.has(key)) continue;
        const fd = this.rundir.openTap(kind, name);
        if (fd < 0) continue;
        const label = `${escapeBytes(name)} | `;
        this.sources.set(key, { fd, to: DESCRIPTORS[kind], label, rest: Buffer.alloc(0) });
        this.set = null;
      }
    }
  }

  /** Reads once; false if there is nothing. */
  private read(source: Source): boolean {
    const n = libc.readBytes(source.fd, this.buffer, 0, this.buffer.length);
    if (n > 0) this.write(source, Buffer.concat([source.rest, this.buffer.subarray(0, n)]), false);
    return n > 0 || n === -E.INTR;
  }

  /** As much as a pipe holds: who writes on meanwhile is for the next one of us. */
  private readAll(source: Source): void {
    for (let reads = 0; reads < PIPE_READS && this.read(source); reads++);
    this.write(source, source.rest, true);
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

  /** What is left in the pipes, and what was not finished. */
  private finish(): void {
    this.look();
    for (const source of this.sources.values()) this.readAll(source);
  }
}
