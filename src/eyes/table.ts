/** The table of `svctl top`: rows in columns, sorted, filtered and cut to a width. Pure. */

import { signalName } from "../libc.ts";
import { isUp, type Shown } from "../report.ts";
import { type Exit, STATES } from "../status.ts";
import { plainText } from "./eye.ts";

/** One service in one moment. */
export type Row = {
  readonly shown: Shown;
  /** Its name as text. */
  readonly name: string;
  /** Milliseconds that its process has run, or that it has been down. */
  readonly age: number;
  /** Percent of one CPU, bytes and so on; null when it does not run, or cannot be known. */
  readonly cpu: number | null;
  readonly memory: number | null;
  readonly threads: number | null;
  /** Asked for only where it is seen: it costs a system call for each process. */
  readonly descriptors: () => number | null;
  /** Milliseconds until the next start, if one is due. */
  readonly next: number | null;
};

type Column = {
  readonly title: string;
  readonly width: number;
  readonly text: (row: Row) => string;
  /** What it is sorted by; text is sorted upwards, numbers downwards. */
  readonly key: (row: Row) => string | number;
};

const restarts = (row: Row) => Math.max(0, (row.shown.status?.runs ?? 0) - 1);
const state = (row: Row) => row.shown.status?.state ?? "down";
const orBlank = (n: number | null, text: (n: number) => string) => (n === null ? "" : text(n));

/** Between the name, which takes what it needs, and the last one, which takes the rest. */
export const COLUMNS = {
  state: {
    title: "STATE",
    width: 9,
    text: state,
    // What is in trouble comes first.
    key: (row) => STATES.indexOf(state(row)),
  },
  pid: {
    title: "PID",
    width: 7,
    text: (row) => String(row.shown.status?.process?.pid ?? ""),
    key: (row) => -(row.shown.status?.process?.pid ?? Number.POSITIVE_INFINITY),
  },
  age: { title: "AGE", width: 4, text: (row) => shortAge(row.age), key: (row) => -row.age },
  restarts: {
    title: "RSTRT",
    width: 5,
    text: (row) => String(restarts(row)),
    key: restarts,
  },
  cpu: {
    title: "CPU%",
    width: 5,
    text: (row) => orBlank(row.cpu, (n) => n.toFixed(1)),
    key: (row) => row.cpu ?? -1,
  },
  memory: {
    title: "MEM",
    width: 5,
    text: (row) => orBlank(row.memory, shortSize),
    key: (row) => row.memory ?? -1,
  },
  threads: {
    title: "THR",
    width: 4,
    text: (row) => orBlank(row.threads, String),
    key: (row) => row.threads ?? -1,
  },
  descriptors: {
    title: "FDS",
    width: 4,
    text: (row) => orBlank(row.descriptors(), String),
    key: (row) => row.descriptors() ?? -1,
  },
  exit: {
    title: "EXIT",
    width: 6,
    text: (row) => shortExit(row.shown.status?.exit ?? null),
    key: (row) => shortExit(row.shown.status?.exit ?? null) || "\uffff",
  },
} as const satisfies Record<string, Column>;

const NAME: Pick<Column, "title" | "key"> = { title: "NAME", key: (row) => row.name };

/** What can be sorted by. */
export type SortKey = "name" | keyof typeof COLUMNS;
export const SORT_KEYS = ["name", ...Object.keys(COLUMNS)] as readonly SortKey[];

const LEFT: readonly string[] = ["state"];
const LEAST_NAME = 8;
const LEAST_REST = 11;
const LAST = "WAITING FOR";

/** Sorted by a column; those that are the same there, by name. */
export function sortRows(rows: readonly Row[], by: SortKey, reverse: boolean): Row[] {
  const { key } = by === "name" ? NAME : COLUMNS[by];
  const keyed = rows.map((row) => ({ row, key: key(row) }));
  keyed.sort((a, b) => {
    const order = a.key === b.key ? 0 : compare(a.key, b.key);
    if (order !== 0) return reverse ? -order : order;
    return a.row.name < b.row.name ? -1 : 1;
  });
  return keyed.map(({ row }) => row);
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return b - a;
  return String(a) < String(b) ? -1 : 1;
}

/** Those in whose name, or state, the words occur, whatever their case. */
export function filterRows(rows: readonly Row[], filter: string): Row[] {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return rows.filter((row) => {
    const text = `${row.name} ${state(row)}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** The columns that fit, and how wide the name may be. */
export type Layout = { readonly columns: readonly (keyof typeof COLUMNS)[]; readonly name: number };

/** What is given up first where there is no room. */
const EXPENDABLE: readonly (keyof typeof COLUMNS)[] = [
  "threads",
  "restarts",
  "exit",
  "descriptors",
  "age",
  "memory",
  "cpu",
  "pid",
  "state",
];

export function layout(rows: readonly Row[], width: number): Layout {
  const widest = rows.reduce((n, row) => Math.max(n, Bun.stringWidth(row.name)), LEAST_NAME);
  let columns = Object.keys(COLUMNS) as (keyof typeof COLUMNS)[];
  const room = () => width - columns.reduce((n, c) => n + COLUMNS[c].width + 1, 0) - LEAST_REST - 1;
  for (const expendable of EXPENDABLE) {
    if (room() >= LEAST_NAME) break;
    columns = columns.filter((c) => c !== expendable);
  }
  return { columns, name: Math.max(LEAST_NAME, Math.min(widest, room())) };
}

export function heading({ columns, name }: Layout, width: number, sort?: SortKey): string {
  const mark = (key: SortKey, title: string) =>
    key === sort && title.length < 4 ? `${title}*` : title;
  const cells = columns.map((c) =>
    align(mark(c, COLUMNS[c].title), COLUMNS[c].width, LEFT.includes(c)),
  );
  return fit([align(NAME.title, name, true), ...cells, LAST].join(" "), width);
}

export function line(row: Row, { columns, name }: Layout, width: number): string {
  const cells = columns.map((c) => align(COLUMNS[c].text(row), COLUMNS[c].width, LEFT.includes(c)));
  return fit([align(fit(row.name, name), name, true), ...cells, rest(row)].join(" "), width);
}

/** The last column: whatever it is that keeps it from being up. */
function rest({ shown, next }: Row): string {
  const { status, waitingFor } = shown;
  if (waitingFor.length > 0) return waitingFor.map(plainText).join(" ");
  if (status?.reason != null) return plainText(status.reason);
  return next === null ? "" : `start in ${shortAge(next)}`;
}

/** How many are up, and how many are in trouble. */
export function summary(rows: readonly Row[]): string {
  const count = (what: string, test: (row: Row) => boolean) => {
    const n = rows.filter(test).length;
    return n > 0 ? [`${n} ${what}`] : [];
  };
  return [
    `${rows.length} service${rows.length === 1 ? "" : "s"}`,
    ...count("up", (row) => isUp(row.shown)),
    ...count("waiting", (row) => row.shown.waitingFor.length > 0),
    ...count("in backoff", (row) => state(row) === "backoff"),
    ...count("failed", (row) => state(row) === "failed"),
  ].join(", ");
}

/** Does nobody have to worry about it? up: runs; idle: is to be down; else: it should run. */
export function condition({ shown }: Row): "up" | "idle" | "trouble" | "between" {
  const { status } = shown;
  if (status?.state === "up") return "up";
  if (status?.state === "backoff" || status?.state === "failed") return "trouble";
  if (status?.process) return "between";
  return status?.wanted === "up" ? "trouble" : "idle";
}

// --------------------------------------------------------------------- cells

function align(text: string, width: number, left: boolean): string {
  const blanks = " ".repeat(Math.max(0, width - Bun.stringWidth(text)));
  return left ? text + blanks : blanks + text;
}

/** Cut to so many columns of a terminal; a tilde says that it was. */
export function fit(text: string, width: number): string {
  if (text.length <= width && !/[^\x20-\x7e]/.test(text)) return text;
  if (Bun.stringWidth(text) <= width) return text;
  let cut = "";
  let used = 0;
  for (const character of text) {
    used += Bun.stringWidth(character);
    if (used >= width) break;
    cut += character;
  }
  return width > 0 ? `${cut}~` : "";
}

const UNITS: readonly (readonly [seconds: number, letter: string])[] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "m"],
];

/** At most four characters: 59s, 59m, 47h, 999d. */
export function shortAge(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const unit = UNITS.find(([size, letter]) => seconds >= (letter === "d" ? 2 * size : size));
  return unit ? `${Math.floor(seconds / unit[0])}${unit[1]}` : `${seconds}s`;
}

/** At most five characters: 980K, 1.2M, 12.3M, 1023M. */
export function shortSize(bytes: number): string {
  let value = bytes / 1024;
  for (const letter of ["K", "M", "G"]) {
    if (value < 999.5)
      return `${value < 99.5 && letter !== "K" ? value.toFixed(1) : value.toFixed(0)}${letter}`;
    value /= 1024;
  }
  return `${value.toFixed(1)}T`;
}

/** "0", "KILL", "?" where nobody knows; nothing while its first life lasts. */
export function shortExit(exit: Exit | null): string {
  if (exit === null) return "";
  if ("code" in exit) return String(exit.code);
  return "signal" in exit ? signalName(exit.signal) : "?";
}
