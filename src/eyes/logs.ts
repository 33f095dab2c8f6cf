/** svctl logs: what a service's logger has written. */
import { Alarm } from "../alarm.ts";
import { parseCount } from "../bytes.ts";
import { endIfUnread, Failure, out, UsageError } from "../cli.ts";
import * as libc from "../libc.ts";
import { EPOCH } from "../log/convert.ts";
import { RunDir } from "../rundir.ts";
import { plainText, utf8, type View } from "./eye.ts";
import { findLog, LogFiles } from "./logfiles.ts";

export const usage = `usage: svctl logs [-f] [-n LINES] SERVICE

Print what the logger of a service has written, with the time of each line.

  -f             go on with what is written from now on (then LINES is 10)
  -n LINES       print this many lines at most; else all of them
  -d SYSDIR      directory of services
  -r RUNDIR      directory of state
`;

export const spec = { boolean: ["f"], string: ["n"], alias: { f: "follow", n: "lines" } };

const FOLLOWED = 10;
/** How often is looked whether anybody still reads, if nothing is written. */
const LOOK = 1_000;

export async function run({ options, names, sysdir, rundir: path }: View): Promise<number> {
  const [name, ...more] = names;
  if (name === undefined || more.length > 0) throw new UsageError("logs: one service is needed");
  const follow = options.has("f");
  const count = lineCount(options.value("n"), follow ? FOLLOWED : Number.POSITIVE_INFINITY);
  const rundir = RunDir.open(path);
  const files = findLog(
    name.replace(/\/$/, ""),
    typeof rundir === "number" ? null : rundir,
    sysdir,
  );
  if (!files) throw new Failure(`${name}: no log was found`);
  const isTerminal = libc.isTerminal(1);
  const print = (lines: readonly string[]) => {
    if (lines.length > 0) out(`${lines.map((l) => showLine(l, isTerminal)).join("\n")}\n`);
  };
  print(files.last(count));
  if (!follow) print(files.takePartial());
  const alarm = new Alarm();
  while (follow) {
    alarm.watch("log", files.watchPath, LogFiles.watchMask);
    print(files.more());
    endIfUnread();
    await alarm.ring(performance.now() + LOOK);
  }
  files.close();
  return 0;
}

function lineCount(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const count = parseCount(text);
  if (count === null) throw new UsageError(`-n: not a number of lines: ${text}`);
  return count;
}

/** A line as a terminal may have it, or, for a file, with its other bytes as they are. */
function showLine(line: string, isTerminal: boolean): string {
  const { time, rest } = timeOf(line);
  return time + (isTerminal ? utf8(plainLine(rest)) : rest);
}

/** No screen is wider. */
const SCREEN_WIDTH = 4_096;

/** The same as text, for the screen of top. */
export function screenLine(line: string): string {
  const { time, rest } = timeOf(line.slice(0, SCREEN_WIDTH));
  return time + plainLine(rest);
}

/** Tabs are harmless, and backslashes are no danger in a line of a log. */
function plainLine(bytes: string): string {
  return bytes
    .split("\t")
    .map((part) => part.split("\\").map(plainText).join("\\"))
    .join("        ");
}

/** What its TAI64N label says, as local time in milliseconds; nothing without one. */
function timeOf(line: string): { time: string; rest: string } {
  const [label, seconds, nanoseconds] = line.match(/^@([0-9a-f]{16})([0-9a-f]{8})(?= |$)/) ?? [];
  const local = label === undefined ? null : libc.localTime(BigInt(`0x${seconds}`) - EPOCH);
  if (!local || label === undefined) return { time: "", rest: line };
  const milliseconds = Math.floor(Number.parseInt(nanoseconds ?? "0", 16) / 1e6);
  return { time: formatTime(local, milliseconds), rest: line.slice(label.length) };
}

/** 2026-11-21 14:03:07.123 */
export function formatTime(t: libc.CalendarTime, milliseconds: number): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const date = [String(t.year + 1900), two(t.month + 1), two(t.day)].join("-");
  const time = [two(t.hour), two(t.minute), two(t.second)].join(":");
  return `${date} ${time}.${String(milliseconds).padStart(3, "0")}`;
}
