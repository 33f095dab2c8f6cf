/** multilog(8): appends selected lines to any number of logs. */
import * as libc from "../libc.ts";
import { AT_FDCWD, E, O, SIGNALS } from "../libc.ts";
import { askedForHelp, leadingNumber } from "./arguments.ts";
import { Cyclog, fatal, pause } from "./cyclog.ts";
import { Events } from "./events.ts";
import { STAMP, Stamp } from "./label.ts";
import { DescriptorOutput, OUTPUT_SIZE } from "./output.ts";
import { matches, pattern } from "./pattern.ts";
import { Arena, LineReader, type LineSink, NEWLINE, READ_SIZE } from "./reader.ts";
import { APPEND, persist } from "./rotated.ts";

export const usage = `usage: multilog ACTION ...

Read lines from standard input and do with each what the actions say, in their order.

  t               begin every line with a TAI64N timestamp (the first action only)
  -PATTERN        deselect the line if it matches
  +PATTERN        select the line if it matches
  e               write the line to standard error (200 bytes of it)
  =FILE           replace the contents of FILE by the line (1000 bytes of it)
  sSIZE           greatest size of files, in bytes, for the directories that follow
  nNUMBER         how many files are kept, for the directories that follow
  !PROCESSOR      a shell command that finished files are fed through, for the same
  ./DIR, /DIR     append the line to the log in that directory
  -h, --help      print this, if there is no other action
`;

/** Patterns, alerts and status files see so much of a line, in bytes. */
const HEAD = 1_000;
const ALERT = 200;
/** An alert is written at once, and not torn, even where others write to the same pipe. */
const ALERT_SIZE = 4_096;

const SIZES = { least: 4_096, most: 16_777_215, normal: 99_999 };
const COUNTS = { least: 2, normal: 10 };

const BEFORE = STAMP;
const READER = { limit: HEAD, before: BEFORE, size: READ_SIZE };

/** What is done with a line. */
type Action =
  | { readonly kind: "select" | "deselect"; readonly pattern: Uint8Array }
  | { readonly kind: "alert" }
  | { readonly kind: "status"; readonly file: StatusFile }
  | { readonly kind: "log"; readonly log: Cyclog };

/** The file of an `=` action: it holds the last line that was selected for it. */
class StatusFile {
  private readonly fd: number;
  private readonly text = new Uint8Array(new ArrayBuffer(HEAD + 1));
  private changed = false;

  constructor(private readonly name: string) {
    const made = libc.openat(AT_FDCWD, name, APPEND, 0o600);
    if (made < 0) throw fatal(`create ${name}`, made);
    libc.close(made);
    this.fd = libc.openat(AT_FDCWD, name, O.WRONLY | O.NONBLOCK);
    if (this.fd < 0) throw fatal(`write ${name}`, this.fd);
  }

  set(bytes: Uint8Array, from: number, to: number): void {
    this.text.set(bytes.subarray(from, to));
    this.text.fill(NEWLINE, to - from);
    this.changed = true;
  }

  /** Nobody can have seen the lines in between. */
  flush(): void {
    if (!this.changed) return;
    this.changed = false;
    persist(
      () => {
        const n = libc.overwriteBytes(this.fd, this.text);
        return n < 0 || n === this.text.length ? n : -E.NOSPC;
      },
      (code) => {
        const verb = code === -E.SPIPE ? "move to beginning of" : "write";
        pause(`unable to ${verb} ${this.name}`, code);
      },
    );
  }
}

const isLog = (word: string) => word.startsWith(".") || word.startsWith("/");

class Multilog implements LineSink {
  readonly stamp: Stamp | null;

  private readonly actions: Action[] = [];
  private readonly logs: Cyclog[] = [];
  private readonly statusFiles: StatusFile[] = [];
  private readonly alerts: DescriptorOutput;
  private readonly bytes: Uint8Array;

  static room(script: readonly string[]): number {
    return STAMP + ALERT_SIZE + OUTPUT_SIZE * script.filter(isLog).length;
  }

  constructor(arena: Arena, script: readonly string[]) {
    this.bytes = arena.bytes;
    const stamped = script[0]?.startsWith("t");
    this.stamp = stamped ? new Stamp(arena.bytes, arena.take(STAMP), "label") : null;
    this.alerts = new DescriptorOutput(arena, 2, () => {}, ALERT_SIZE);
    // Trouble with status files is found first, as in the original.
    const files = script.filter((word) => word.startsWith("="));
    this.statusFiles.push(...files.map((word) => new StatusFile(word.slice(1))));
    this.read(script, arena);
  }

  private read(script: readonly string[], arena: Arena): void {
    const statusFiles = this.statusFiles.values();
    let [size, count, processor]: [number, number, string | null] = [
      SIZES.normal,
      COUNTS.normal,
      null,
    ];
    for (const word of script) {
      const rest = word.slice(1);
      if (word.startsWith("+")) this.actions.push({ kind: "select", pattern: pattern(rest) });
      if (word.startsWith("-")) this.actions.push({ kind: "deselect", pattern: pattern(rest) });
      if (word.startsWith("e")) this.actions.push({ kind: "alert" });
      if (word.startsWith("=")) {
        const { value: file } = statusFiles.next();
        if (file) this.actions.push({ kind: "status", file });
      }
      if (word.startsWith("s")) {
        size = Math.min(Math.max(leadingNumber(rest), SIZES.least), SIZES.most);
      }
      if (word.startsWith("n")) count = Math.max(leadingNumber(rest), COUNTS.least);
      if (word.startsWith("!")) processor = rest;
      if (isLog(word)) {
        const log = new Cyclog(arena, word, { size, count, processor });
        this.logs.push(log);
        this.actions.push({ kind: "log", log });
      }
    }
  }

  line(from: number, to: number, whole: boolean): void {
    let start = from;
    if (this.stamp) {
      start -= STAMP;
      this.stamp.before(from);
    }
    const headEnd = Math.min(to, start + HEAD);
    const end = whole ? to + 1 : to;
    let selected = true;
    for (const action of this.actions) {
      switch (action.kind) {
        case "select":
          selected ||= matches(action.pattern, this.bytes, start, headEnd);
          break;
        case "deselect":
          if (selected) selected = !matches(action.pattern, this.bytes, start, headEnd);
          break;
        case "alert":
          if (selected) this.alert(start, headEnd);
          break;
        case "status":
          if (selected) action.file.set(this.bytes, start, headEnd);
          break;
        case "log":
          action.log.selected = selected;
          if (selected) action.log.put(start, end);
          break;
      }
    }
  }

  more(from: number, to: number): void {
    for (const log of this.logs) if (log.selected) log.put(from, to);
  }

  private alert(from: number, to: number): void {
    const long = to - from > ALERT;
    this.alerts.reserve(ALERT + "...\n".length);
    this.alerts.put(from, long ? from + ALERT : to);
    this.alerts.putText(long ? "...\n" : "\n");
  }

  flush(): void {
    for (const log of this.logs) log.flush();
    for (const file of this.statusFiles) file.flush();
    this.alerts.flush();
  }

  rotate(): void {
    for (const log of this.logs) log.rotateNow();
  }

  close(): void {
    for (const log of this.logs) log.close();
  }
}

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  process.umask(0o022);
  const events = new Events("multilog", [SIGNALS.TERM, SIGNALS.ALRM]);
  const arena = new Arena(LineReader.room(READER) + Multilog.room(args));
  const multilog = new Multilog(arena, args);
  const reader = new LineReader(arena, multilog, READER);
  reader.stamp = multilog.stamp;

  // After TERM the line that has begun is read to its end, and nothing that follows it.
  for (let ending = false; !(ending && reader.complete); ) {
    const { input, signals } = events.wait();
    if (signals.includes(SIGNALS.ALRM)) multilog.rotate();
    if (signals.includes(SIGNALS.TERM)) ending = true;
    if (!input || signals.length > 0) continue;
    const n = reader.read(ending ? 1 : READ_SIZE);
    if (n === -E.INTR || n === -E.AGAIN) continue;
    if (n <= 0) break;
    multilog.flush();
  }
  reader.finish();
  multilog.flush();
  multilog.close();
  return 0;
}
