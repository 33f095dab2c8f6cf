/** The file `config` in a log directory of svlogd(8). */
import { pattern } from "./pattern.ts";

export type Destination = { readonly address: readonly number[]; readonly port: number };

export type LogConfig = {
  /** Bytes that a file may have; 0: as many as come. */
  readonly size: number;
  /** Old files that are kept; 0: all. */
  readonly keep: number;
  /** Old files that are kept even when the disk is full. */
  readonly keepAlways: number;
  /** Seconds after which a file is finished; 0: never. */
  readonly age: number;
  /** A shell command that finished files are fed through. */
  readonly processor: string | null;
  readonly prefix: string;
  /** Where lines are sent to, too. */
  readonly udp: Destination | null;
  /** And not to the directory. */
  readonly udpOnly: boolean;
  readonly patterns: readonly LinePattern[];
};

export type LinePattern = {
  readonly kind: "select" | "deselect" | "alert" | "quiet";
  readonly pattern: Uint8Array;
};

export const defaults: LogConfig = {
  size: 1_000_000,
  keep: 10,
  keepAlways: 10,
  age: 0,
  processor: null,
  prefix: "",
  udp: null,
  udpOnly: false,
  patterns: [],
};

const SYSLOG = 514;

const kinds: Readonly<Record<string, LinePattern["kind"]>> = {
  "+": "select",
  "-": "deselect",
  e: "alert",
  E: "quiet",
};

/** A number, times what the letter after it stands for; 0 if there is no number. */
function number(text: string, units: Readonly<Record<string, number>> = {}): number {
  const [, digits = "0", unit = ""] = text.match(/^(\d*)(.?)/s) ?? [];
  return Number(digits) * (Object.hasOwn(units, unit) ? (units[unit] ?? 1) : 1);
}

function destination(text: string): Destination | string {
  const [, a, b, c, d, port] = text.match(/^(\d+)\.(\d+)\.(\d+)\.(\d+)(?::(.*))?/s) ?? [];
  if (d === undefined) return `unable to scan ip address: ${text}`;
  const address = [a, b, c, d].map((part) => Number(part) & 0xff);
  if (port === undefined) return { address, port: SYSLOG };
  return number(port) > 0
    ? { address, port: number(port) & 0xffff }
    : `unable to scan port number: ${port}`;
}

/** What the lines say, and what is wrong with some; lines that mean nothing are passed over. */
export function parseConfig(text: string): { config: LogConfig; faults: string[] } {
  const config = { ...defaults };
  const patterns: LinePattern[] = [];
  const faults: string[] = [];
  for (const line of text.split("\n")) {
    const [letter = "", rest] = [line.slice(0, 1), line.slice(1)];
    const kind = Object.hasOwn(kinds, letter) ? kinds[letter] : undefined;
    if (kind) patterns.push({ kind, pattern: pattern(rest) });
    if (letter === "s") config.size = number(rest, { k: 1024, m: 1024 ** 2 });
    if (letter === "n") config.keep = number(rest);
    if (letter === "N") config.keepAlways = number(rest);
    if (letter === "t") config.age = number(rest, { m: 60, h: 3600 });
    if (letter === "!") config.processor = rest === "" ? null : rest;
    if (letter === "p") config.prefix = rest;
    if (letter === "U") config.udpOnly = true;
    if (letter === "u" || letter === "U") {
      const found = destination(rest);
      if (typeof found === "string") faults.push(found);
      else config.udp = found;
    }
  }
  return { config: { ...config, patterns }, faults };
}
