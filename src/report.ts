/** How a service's status is shown to people and to programs. */
import { escapeBytes } from "./bytes.ts";
import { loggerOf } from "./rundir.ts";
import { describeExit, type Status } from "./status.ts";
import { formatAge } from "./transition.ts";

/** A service as svctl sees it: null is a status that is not there (yet). */
export type Shown = {
  readonly name: string;
  readonly status: Status | null;
  /** sysmgr has met it, but there is no status that can be read. */
  readonly unknown?: boolean;
  /** What its calls of sysmgr-depends wait for now. */
  readonly waitingFor: readonly string[];
};

export type Style = {
  /** Width of the longest name, to align what follows; 0: not aligned. */
  readonly width: number;
  readonly colour: boolean;
};

/** The clocks of one report: milliseconds since the epoch, and since boot. */
export type Moment = { readonly now: number; readonly uptime: number };

/** A service is UP while its process runs. */
export function isUp(shown: Shown): boolean {
  return shown.status?.process != null;
}

/** `NAME: UP, pid 812, 3 min`: one line, without its end. */
export function statusLine(shown: Shown, style: Style, moment: Moment): string {
  const name = escapeBytes(shown.name);
  const pad = style.width > 0 ? " ".repeat(Math.max(0, style.width - columns(name))) : "";
  const word = paint(isUp(shown) ? "UP" : shown.unknown ? "UNKNOWN" : "DOWN", shown, style);
  return [`${name}: ${pad}${word}`, ...details(shown, moment)].join(", ");
}

/** How wide a terminal shows it: bytes that continue a UTF-8 character take no room. */
export function columns(text: string): number {
  return text.replace(/[\x80-\xbf]/g, "").length;
}

function paint(word: string, shown: Shown, style: Style): string {
  if (!style.colour) return word;
  const { status } = shown;
  const colour = isUp(shown) ? 32 : status?.wanted === "up" ? 31 : 33;
  return `\x1b[${colour}m${word}\x1b[0m`;
}

function details({ status, unknown, waitingFor }: Shown, { now, uptime }: Moment): string[] {
  if (!status) return [unknown ? "its status cannot be read" : "not seen yet"];
  const { process, state, wanted, runs, exit, next, reason } = status;
  const age = process ? uptime - process.started * 10 : now - status.since;
  const text = process ? [`pid ${process.pid}`, formatAge(Math.max(0, age))] : [];
  if ((process && state !== "up") || state === "finishing") text.push(state);
  if (process && wanted === "once") text.push("once");
  if (waitingFor.length > 0) text.push(`waiting for ${waitingFor.map(escapeBytes).join(" ")}`);
  if (!process && wanted !== "up")
    text.push(wanted === "once" && runs > 0 ? "ran once" : "stopped");
  if (!process && reason === null) text.push(formatAge(Math.max(0, age)));
  if (runs > 1) text.push(`${runs} runs`);
  if (exit) text.push(`${process ? "last " : ""}${describeExit(exit)}`);
  if (reason !== null) text.push(`cannot start: ${escapeBytes(reason)}`);
  if (next !== null) text.push(`next start in ${formatAge(Math.max(0, next - now))}`);
  return text;
}

function seconds(ms: number | null | undefined): number | null {
  return ms == null ? null : ms / 1000;
}

/** The same as JSON: every field of the status file, null where it has none. */
export function statusObject({
  name,
  status,
  unknown,
  waitingFor,
}: Shown): Record<string, unknown> {
  const exit = status?.exit ?? null;
  return {
    name: jsonText(name),
    up: unknown ? null : status?.process != null,
    state: status?.state ?? null,
    wanted: status?.wanted ?? null,
    pid: status?.process?.pid ?? null,
    start: status?.process?.started ?? null,
    finish: status?.finish?.pid ?? null,
    finish_start: status?.finish?.started ?? null,
    boot: status?.boot ?? null,
    pidns: status?.pidns ?? null,
    since: seconds(status?.since),
    first: seconds(status?.first),
    ready: seconds(status?.ready),
    waited: seconds(status?.waited),
    runs: status?.runs ?? null,
    short: status?.short ?? null,
    exit: exit && "code" in exit ? exit.code : null,
    signal: exit && "signal" in exit ? exit.signal : null,
    exit_unknown: exit !== null && "unknown" in exit,
    next: seconds(status?.next),
    reason: status?.reason == null ? null : jsonText(status.reason),
    logger: status?.logger ? jsonText(loggerOf(name)) : null,
    waiting: waitingFor.map(jsonText),
  };
}

/** JSON is UTF-8: bytes that are not become \xNN, as control bytes do. */
export function jsonText(bytes: string): string {
  const text = escapeBytes(bytes);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(text, "latin1"));
  } catch {
    return text.replace(/[\x80-\xff]/g, (c) => `\\x${c.charCodeAt(0).toString(16)}`);
  }
}
