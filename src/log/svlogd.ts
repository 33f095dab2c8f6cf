/** svlogd(8): filters log messages and keeps them in rotated logs. */
import { err, Failure } from "../cli.ts";
import * as libc from "../libc.ts";
import { E, SIGNALS } from "../libc.ts";
import { askedForHelp, getopt, leadingNumber, WrongUsage } from "./arguments.ts";
import { Events } from "./events.ts";
import { STAMP, Stamp, type StampFormat } from "./label.ts";
import { LogDir, warn } from "./logdir.ts";
import { DescriptorOutput, OUTPUT_SIZE } from "./output.ts";
import { Arena, LineReader, type LineSink, NEWLINE, READ_SIZE } from "./reader.ts";
import { reason } from "./words.ts";

export const usage = `usage: svlogd [-tttv] [-r C] [-R XYZ] [-l LENGTH] [-b SIZE] DIRECTORY ...

Append lines from standard input to the log in each directory, as its file config says.

  -t           begin lines with a TAI64N timestamp
  -tt, -ttt    begin lines with a UTC timestamp, 2000-12-31_23:59:59.12345, or with a T in it
  -r C         replace what is not printable by the character C
  -R XYZ       replace these characters, too (by C, or _)
  -l LENGTH    patterns see so much of a line, in bytes (1000)
  -b SIZE      the buffer for reading, in bytes (65536)
  -v           say what is done
  -h, --help   print this
`;

/** What the original says to wrong usage, to the letter. */
const WRONG_USAGE = "usage: svlogd [-ttv] [-r c] [-R abc] [-l len] [-b buflen] dir ...\n\n";

const ALERT_SIZE = 4_096;
/** More would be of no use. */
const LARGEST_BUFFER = 1 << 24;
const LONGEST_LINE = 1 << 30;

const FORMATS: readonly (StampFormat | null)[] = [null, "label", "underscore", "T"];

type Options = {
  readonly timestamp: StampFormat | null;
  readonly verbose: boolean;
  /** What stands for which byte, if anything is to be replaced. */
  readonly table: Uint8Array | null;
  readonly lineMax: number;
  readonly buffer: number;
  readonly directories: readonly string[];
};

function readOptions(args: readonly string[]): Options {
  const { options, rest: directories, wrong } = getopt(args, "R:r:l:b:tvV");
  let [timestamp, verbose, charset, replacement] = [0, false, "", ""];
  let [lineMax, buffer] = [1_000, 1_024];
  for (const [letter, value] of options) {
    if (letter === "t") timestamp = Math.min(timestamp + 1, 3);
    if (letter === "v") verbose = true;
    if (letter === "V") throw new WrongUsage();
    if (letter === "l") lineMax = leadingNumber(value) || 1_000;
    if (letter === "b") buffer = leadingNumber(value) || 1_024;
    if (letter === "r") {
      if (value.length !== 1) throw new WrongUsage();
      replacement = value;
    }
    if (letter === "R") {
      charset = value;
      replacement ||= "_";
    }
  }
  if (wrong !== null) throw new WrongUsage(wrong);
  if (directories.length === 0 || buffer <= lineMax) throw new WrongUsage();
  if (lineMax > LONGEST_LINE) throw new Failure("fatal: out of memory.", 111);
  return {
    timestamp: FORMATS[timestamp] ?? null,
    verbose,
    table: replacement === "" ? null : replacements(replacement, charset),
    lineMax,
    buffer,
    directories,
  };
}

/** The newline is never replaced: it ends the line. */
function replacements(by: string, charset: string): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => {
    const printable = byte >= 32 && byte <= 126 && !charset.includes(String.fromCharCode(byte));
    return printable || byte === NEWLINE ? byte : by.charCodeAt(0);
  });
}

class Svlogd implements LineSink {
  readonly stamp: Stamp | null;
  private readonly logs: readonly LogDir[];
  private readonly alerts: DescriptorOutput;
  private readonly bytes: Uint8Array;
  private readonly lineMax: number;
  private socket = -1;

  static room({ directories }: Options): number {
    return STAMP + ALERT_SIZE + OUTPUT_SIZE * directories.length;
  }

  constructor(arena: Arena, options: Options) {
    const { timestamp, directories, lineMax } = options;
    this.bytes = arena.bytes;
    this.lineMax = lineMax;
    this.stamp = timestamp && new Stamp(arena.bytes, arena.take(STAMP), timestamp);
    this.alerts = new DescriptorOutput(arena, 2, () => {}, ALERT_SIZE);
    this.logs = directories.map((name) => new LogDir(arena, name, options));
  }

  /** Closes what is open, opens all again. Throws a Failure when none can be opened. */
  reopen(): void {
    let any = false;
    for (const log of this.logs) {
      log.close();
      if (log.open()) any = true;
    }
    if (!any) throw new Failure("fatal: no functional log directories.", 111);
  }

  line(from: number, to: number, whole: boolean): void {
    const headEnd = Math.min(to, from + this.lineMax);
    const end = whole ? to + 1 : to;
    for (const log of this.logs) {
      if (!log.isOpen) continue;
      log.match(from, headEnd);
      if (log.alerted) this.alert(log, from, headEnd);
      if (!log.selected) continue;
      if (log.config.udp) this.send(log, from, headEnd);
      if (!log.config.udpOnly) this.append(log, from, end);
    }
  }

  more(from: number, to: number): void {
    for (const log of this.logs) {
      if (log.isOpen && log.selected && !log.config.udpOnly) log.put(from, to);
    }
  }

  private append(log: LogDir, from: number, to: number): void {
    const { stamp } = this;
    const { prefix } = log.config;
    if (prefix !== "") {
      if (stamp) log.put(stamp.at, stamp.at + STAMP);
      log.putText(prefix);
      log.put(from, to);
    } else if (stamp) {
      stamp.before(from);
      log.put(from - STAMP, to);
    } else log.put(from, to);
  }

  private alert(log: LogDir, from: number, to: number): void {
    const { stamp, alerts } = this;
    alerts.reserve(STAMP + log.config.prefix.length + to - from + "...\n".length);
    if (stamp) alerts.put(stamp.at, stamp.at + STAMP);
    alerts.putText(log.config.prefix);
    alerts.put(from, to);
    alerts.putText(this.isLong(from, to) ? "...\n" : "\n");
  }

  /** One that patterns and alerts may not see the end of. */
  private isLong(from: number, to: number): boolean {
    return to - from === this.lineMax;
  }

  private send(log: LogDir, from: number, to: number): void {
    const { udp, prefix } = log.config;
    if (!udp) return;
    const { bytes, stamp } = this;
    const text = (a: number, b: number) => Buffer.from(bytes.buffer, a, b - a).toString("latin1");
    const line = `${stamp ? text(stamp.at, stamp.at + STAMP) : ""}${prefix}${text(from, to)}`;
    if (this.socket < 0) this.socket = libc.datagramSocket();
    if (this.socket < 0) return log.putText(`warning: no udp socket available: ${line}\n`);
    const message = `${line}${this.isLong(from, to) ? "..." : ""}\n`;
    const packet = Buffer.from(message, "latin1");
    if (libc.sendTo(this.socket, packet, udp.address, udp.port) === packet.length) return;
    log.putText(`warning: failure sending through udp: ${message}`);
  }

  flush(): void {
    for (const log of this.logs) if (log.isOpen) log.flush();
    this.alerts.flush();
  }

  rotate(): void {
    for (const log of this.logs) log.rotateNow();
  }

  /** Reaps processors. */
  reap(): void {
    for (let ended = libc.reap(); ended; ended = libc.reap()) {
      const { pid, status } = ended;
      this.logs.find((log) => log.processorPid === pid)?.processorEnded(status);
    }
  }

  /** Milliseconds until something is due; -1 when nothing ever is. */
  patience(): number {
    const deadline = Math.min(...this.logs.map((log) => log.deadline));
    if (!Number.isFinite(deadline)) return -1;
    return Math.min(Math.max(0, Math.ceil(deadline - performance.now())), 0x7fffffff);
  }

  /** Does what is due. */
  look(): void {
    const now = performance.now();
    for (const log of this.logs) log.look(now);
  }

  close(): void {
    for (const log of this.logs) {
      log.waitForProcessor();
      log.close();
    }
  }
}

const MESSAGES: Readonly<Record<number, string>> = {
  [SIGNALS.TERM]: "sigterm",
  [SIGNALS.CHLD]: "sigchild",
  [SIGNALS.ALRM]: "sigalarm",
  [SIGNALS.HUP]: "sighangup",
};

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  try {
    return run(readOptions(args));
  } catch (error) {
    if (!(error instanceof WrongUsage)) throw error;
    err(`${error.message === "" ? "" : `svlogd: ${error.message}\n`}${WRONG_USAGE}`);
    return 111;
  }
}

function run(options: Options): number {
  const events = new Events("svlogd", Object.keys(MESSAGES).map(Number));
  const size = Math.min(Math.max(options.buffer, READ_SIZE), LARGEST_BUFFER);
  const readerOptions = { limit: options.lineMax, before: STAMP, size };
  const arena = new Arena(LineReader.room(readerOptions) + Svlogd.room(options));
  const svlogd = new Svlogd(arena, options);
  const reader = new LineReader(arena, svlogd, readerOptions);
  reader.stamp = svlogd.stamp;
  reader.table = options.table;
  svlogd.reopen();

  // After TERM the line that has begun is read to its end, and nothing that follows it.
  for (let ending = false; !(ending && reader.complete); ) {
    const { input, signals } = events.wait(svlogd.patience());
    for (const signal of signals) {
      if (options.verbose) err(`svlogd: info: ${MESSAGES[signal]} received.\n`);
      if (signal === SIGNALS.TERM) ending = true;
      if (signal === SIGNALS.CHLD) svlogd.reap();
      if (signal === SIGNALS.ALRM) svlogd.rotate();
      if (signal === SIGNALS.HUP) svlogd.reopen();
    }
    svlogd.look();
    if (!input || signals.length > 0) continue;
    const n = reader.read(ending ? 1 : size);
    if (n === -E.INTR || n === -E.AGAIN) continue;
    if (n < 0) warn(`unable to read standard input: ${reason(n)}`);
    if (n <= 0) break;
    svlogd.flush();
  }
  reader.finish();
  svlogd.flush();
  svlogd.close();
  return 0;
}
