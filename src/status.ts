/** The contents of the files in RUNDIR: text to data and back. Pure; never throws. */
import { escapeBytes, parseCount, unescapeBytes } from "./bytes.ts";
import { SIGNALS, signalName } from "./libc.ts";
import type { Times } from "./times.ts";

export const STATES = [
  "down",
  "starting",
  "up",
  "stopping",
  "finishing",
  "backoff",
  "failed",
] as const;
export type State = (typeof STATES)[number];

/** What the stop marker says: none, `once`, or stopped. */
export type Wanted = "up" | "once" | "down";

/** How a life ended; unknown when nobody could ask the kernel. */
export type Exit =
  | { readonly code: number }
  | { readonly signal: number }
  | { readonly unknown: true };

/** A process is its pid and its start time (clock ticks since boot): a pid alone is recycled. */
export type ProcessId = { readonly pid: number; readonly started: number };

/** NAME/status. Times are milliseconds since the epoch. */
export type Status = Times & {
  readonly state: State;
  readonly wanted: Wanted;
  readonly process: ProcessId | null;
  /** Its finish script, while that runs. */
  readonly finish: ProcessId | null;
  /** Process ids mean something in this boot and pid namespace only. */
  readonly boot: string;
  readonly pidns: string;
  /** Lives begun. */
  readonly runs: number;
  /** Lives in a row that were too short: the wait before the next start depends on it. */
  readonly short: number;
  readonly exit: Exit | null;
  /** When the next start is due. */
  readonly next: number | null;
  /** Why it cannot run. */
  readonly reason: string | null;
  /** It has a logger. */
  readonly logger: boolean;
};

/** It is to have a process, and has none yet; or none that is written down. */
export function isBeingStarted({ state, process }: Pick<Status, "state" | "process">): boolean {
  return state === "starting" && !process;
}

/** Of a service that was never started, and of which nothing else is known. */
export const BLANK: Status = {
  state: "down",
  wanted: "down",
  process: null,
  finish: null,
  boot: "",
  pidns: "",
  since: 0,
  first: null,
  ready: null,
  waited: 0,
  runs: 0,
  short: 0,
  exit: null,
  next: null,
  reason: null,
  logger: false,
};

/** `exit` as text: "1", "signal TERM", "unknown". */
function exitText(exit: Exit): string {
  if ("code" in exit) return String(exit.code);
  return "signal" in exit ? `signal ${signalName(exit.signal)}` : "unknown";
}

function parseExit(text: string | undefined): Exit | null {
  if (text === undefined) return null;
  const code = parseCount(text);
  if (code !== null) return { code };
  const signal = text.startsWith("signal ") ? parseSignal(text.slice(7)) : null;
  return signal === null ? { unknown: true } : { signal };
}

/** "exited with 1", "killed by signal KILL", "ended": for messages. */
export function describeExit(exit: Exit): string {
  if ("code" in exit) return `exited with ${exit.code}`;
  return "signal" in exit
    ? `ended by signal ${signalName(exit.signal)}`
    : "ended (exit status unknown)";
}

/** A signal's name (with or without SIG, any case) or number; null when it is none. */
export function parseSignal(text: string): number | null {
  const number = parseCount(text);
  if (number !== null) return number >= 1 && number <= 64 ? number : null;
  const name = text.toUpperCase().replace(/^SIG/, "");
  return Object.hasOwn(SIGNALS, name) ? SIGNALS[name as keyof typeof SIGNALS] : null;
}

/** One `key=value` per line; a key without a value is left out. */
export function formatStatus(s: Status): string {
  const seconds = (ms: number) => (ms / 1000).toFixed(3);
  let text = `state=${s.state}\nwanted=${s.wanted}\n`;
  if (s.process) text += `pid=${s.process.pid}\nstart=${s.process.started}\n`;
  if (s.finish) text += `finish=${s.finish.pid}\nfinish-start=${s.finish.started}\n`;
  text += `boot=${s.boot}\npidns=${s.pidns}\nsince=${seconds(s.since)}\nruns=${s.runs}\n`;
  if (s.first !== null) text += `first=${seconds(s.first)}\n`;
  if (s.ready !== null) text += `ready=${seconds(s.ready)}\n`;
  if (s.waited > 0) text += `waited=${seconds(s.waited)}\n`;
  if (s.short > 0) text += `short=${s.short}\n`;
  if (s.exit) text += `exit=${exitText(s.exit)}\n`;
  if (s.next !== null) text += `next=${seconds(s.next)}\n`;
  if (s.logger) text += "logger=yes\n";
  if (s.reason !== null) text += `reason=${escapeBytes(s.reason.slice(0, 512))}\n`;
  return text;
}

/** null for anything that sysmgr would not have written. */
export function parseStatus(text: string): Status | null {
  const values = parsePairs(text);
  const state = STATES.find((s) => s === values.get("state"));
  const wanted = (["up", "once", "down"] as const).find((w) => w === values.get("wanted"));
  const runs = parseCount(values.get("runs") ?? "");
  const since = parseTime(values.get("since"));
  if (!state || !wanted || runs === null || since === null) return null;
  const reason = values.get("reason");
  return {
    state,
    wanted,
    process: parseProcess(values, "pid", "start"),
    finish: parseProcess(values, "finish", "finish-start"),
    boot: values.get("boot") ?? "",
    pidns: values.get("pidns") ?? "",
    since,
    first: parseTime(values.get("first")),
    ready: parseTime(values.get("ready")),
    waited: parseTime(values.get("waited")) ?? 0,
    runs,
    short: parseCount(values.get("short") ?? "0") ?? 0,
    exit: parseExit(values.get("exit")),
    next: parseTime(values.get("next")),
    reason: reason === undefined ? null : unescapeBytes(reason),
    logger: values.get("logger") === "yes",
  };
}

function parsePairs(text: string): Map<string, string> {
  const values = new Map<string, string>();
  // svctl does this a thousand times in a row: split() and a closure would be twice as slow.
  for (let at = 0, end = 0; at < text.length; at = end + 1) {
    end = text.indexOf("\n", at);
    if (end < 0) end = text.length;
    const equals = text.indexOf("=", at);
    if (equals > at && equals < end)
      values.set(text.slice(at, equals), text.slice(equals + 1, end));
  }
  return values;
}

function parseProcess(
  values: Map<string, string>,
  pidKey: string,
  startKey: string,
): ProcessId | null {
  const pid = parseCount(values.get(pidKey) ?? "");
  const started = parseCount(values.get(startKey) ?? "");
  // A pid below 2 is never a service: 0 and -1 mean everybody to kill(2), 1 is init.
  return pid !== null && started !== null && pid > 1 && pid < 2 ** 31 ? { pid, started } : null;
}

function parseTime(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,12}\.\d{3}$/.test(text)
    ? Math.round(Number(text) * 1000)
    : null;
}

/** The stop marker: absent, `once` (or `0`), or a stop, perhaps with its own signal. */
export type Marker = { readonly wanted: Wanted; readonly signal: number | null };

export function parseMarker(text: string | null): Marker {
  if (text === null) return { wanted: "up", signal: null };
  const word = text.trim();
  if (word === "once" || word === "0") return { wanted: "once", signal: null };
  return { wanted: "down", signal: parseSignal(word) };
}

/** NAME/waiting/PID: a sysmgr-depends that runs in the service, and what it waits for. */
export type Waiter = { readonly process: ProcessId; readonly services: readonly string[] };

export function formatWaiter(w: Waiter): string {
  let text = `pid=${w.process.pid}\nstart=${w.process.started}\n`;
  for (const name of w.services) text += `for=${escapeBytes(name)}\n`;
  return text;
}

export function parseWaiter(text: string): Waiter | null {
  const process = parseProcess(parsePairs(text), "pid", "start");
  if (!process) return null;
  const services = text
    .split("\n")
    .filter((line) => line.startsWith("for="))
    .map((line) => unescapeBytes(line.slice(4)));
  return { process, services };
}
