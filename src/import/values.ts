/** What the values of options mean to supervisord. All of these throw Invalid. */
import { SIGNALS } from "../libc.ts";
import { lower, strip } from "./ini.ts";
import { Invalid } from "./remarks.ts";

export function integer(text: string): number {
  const digits = strip(text);
  if (!/^[-+]?\d+(_\d+)*$/.test(digits)) throw new Invalid(`not a number: ${text}`);
  return Number(digits.replaceAll("_", ""));
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...["yes", "true", "on", "1"].map((word) => [word, true] as const),
  ...["no", "false", "off", "0"].map((word) => [word, false] as const),
]);

export function boolean(text: string): boolean {
  const found = BOOLEANS.get(lower(text));
  if (found === undefined) throw new Invalid(`neither true nor false: ${text}`);
  return found;
}

export type AutoRestart = "always" | "unexpected" | "never";

export function autoRestart(text: string): AutoRestart {
  if (lower(text) === "unexpected") return "unexpected";
  return boolean(text) ? "always" : "never";
}

const UNITS: Readonly<Record<string, number>> = { kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

/** A number of bytes. */
export function size(text: string): number {
  const unit = UNITS[lower(text.slice(-2))];
  return unit === undefined ? integer(text) : integer(text.slice(0, -2)) * unit;
}

/** A file mode creation mask, or permissions. */
export function octal(text: string): number {
  if (!/^(0o)?[0-7]+$/i.test(text)) throw new Invalid(`not octal: ${text}`);
  return Number(BigInt(`0o${text.replace(/^0o/i, "")}`) & 0o7777n);
}

export function exitCodes(text: string): number[] {
  const codes = text === "" ? [] : text.split(",").map(integer);
  const wrong = codes.find((code) => code < 0 || code > 255);
  if (wrong !== undefined) throw new Invalid(`no process can exit with ${wrong}`);
  return codes;
}

/** Names that libc has for signals beside the usual ones. */
const ALIASES: Readonly<Record<string, number>> = {
  CLD: SIGNALS.CHLD,
  IOT: SIGNALS.ABRT,
  POLL: SIGNALS.IO,
  RTMIN: 34,
  RTMAX: 64,
};

export function signal(text: string): number {
  const names: Readonly<Record<string, number>> = { ...SIGNALS, ...ALIASES };
  const name = strip(text).toUpperCase().replace(/^SIG/, "");
  const number = Object.hasOwn(names, name) ? names[name] : Number(name);
  const known = Object.values(names).some((known) => known === number);
  if (number === undefined || !known) throw new Invalid(`not a signal: ${text}`);
  return number;
}

/** A name that stands between others in messages and addresses. */
export function processName(text: string): string {
  const name = strip(text);
  const wrong = name.match(/[ :/]/)?.[0];
  if (wrong !== undefined) throw new Invalid(`a name with "${wrong}": ${name}`);
  return name;
}

/** Parted by commas. */
export function list(text: string): string[] {
  return text === "" ? [] : text.split(",").map(strip);
}
