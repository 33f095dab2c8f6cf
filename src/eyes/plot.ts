/** svctl plot: every service as a bar since sysmgr was started, as SVG. */
import { parseCount } from "../bytes.ts";
import { Failure, out, UsageError } from "../cli.ts";
import * as proc from "../proc.ts";
import type { Shown } from "../report.ts";
import { describeExit, type Status } from "../status.ts";
import { formatAge } from "../transition.ts";
import { Census } from "./census.ts";
import { openRundir, plainText, refuseNames, utf8, type View } from "./eye.ts";
import { box, CHARACTER, document, line, shorten, text } from "./svg.ts";

export const usage = `usage: svctl plot [--end SECONDS]

Draw what services have done since sysmgr was started: svctl plot >boot.svg

  --end SECONDS  draw so much; else up to the last change of any service
  -d SYSDIR      directory of services
  -r RUNDIR      directory of state
`;

export const spec = { string: ["end"] };

/** All times are milliseconds since sysmgr was started. */
export type Bar = {
  /** As text. */
  readonly name: string;
  /** When what is known of it begins, if it was started before: that is not known. */
  readonly earlier: number | null;
  readonly spans: readonly Span[];
  /** What is written behind it. */
  readonly note: string;
};

type Kind = Status["state"] | "waiting";
export type Span = { readonly kind: Kind; readonly from: number; readonly to: number };

export type Plot = { readonly bars: readonly Bar[]; readonly end: number; readonly title: string };

export function run(view: View): number {
  refuseNames(view, "plot");
  const end = endOf(view.options.value("end"));
  const rundir = openRundir(view.rundir);
  const stat = proc.readStat(rundir.supervisor() ?? 0);
  if (!stat) throw new Failure(`no sysmgr works on ${view.rundir}`);
  const all = new Census(rundir, "once").look();
  const depends = new Map(all.map(({ name }) => [name, rundir.depends(name)]));
  const wall = Date.now();
  const age = proc.ageOf(stat.started);
  const clock = {
    now: age,
    /** Of a time since the epoch, and of a start time of a process. */
    ofWall: (ms: number) => Math.max(0, ms - wall + age),
    ofStart: (started: number) =>
      Math.max(0, (started - stat.started) * (1000 / proc.TICKS_PER_SECOND)),
  };
  out(utf8(draw(plot(all, depends, clock, end))));
  return 0;
}

function endOf(seconds: string | undefined): number | null {
  if (seconds === undefined) return null;
  const count = parseCount(seconds);
  if (!count) throw new UsageError(`--end: not a number of seconds: ${seconds}`);
  return count * 1000;
}

/** From the clocks of RUNDIR and /proc to milliseconds since sysmgr's start; and how much that is now. */
export type Clock = {
  readonly now: number;
  readonly ofWall: (ms: number) => number;
  readonly ofStart: (started: number) => number;
};

/** What to draw, from what the status files tell. Pure. */
export function plot(
  all: readonly Shown[],
  depends: ReadonlyMap<string, readonly string[]>,
  clock: Clock,
  end: number | null,
): Plot {
  const statuses = new Map(all.flatMap((s) => (s.status ? [[s.name, s.status] as const] : [])));
  const bars = [...statuses]
    .map(([name, status]) => {
      const needed = (depends.get(name) ?? []).flatMap((n) => statuses.get(n) ?? []);
      return barOf(name, status, needed, clock);
    })
    .sort((a, b) => beginning(a) - beginning(b) || (a.name < b.name ? -1 : 1));
  const last = Math.max(0, ...bars.flatMap((bar) => lastChange(bar, clock.now)));
  const shown = end ?? Math.min(clock.now, Math.max(last * 1.15, 100));
  return { bars, end: shown, title: titleOf([...statuses.values()], clock.now) };
}

function titleOf(all: readonly Status[], age: number): string {
  const up = all.filter((s) => s.state === "up").length;
  return `${all.length} service${all.length === 1 ? "" : "s"}, ${up} up, ${formatAge(age)} after sysmgr was started`;
}

const beginning = (bar: Bar) => bar.spans[0]?.from ?? 0;

function lastChange({ spans }: Bar, now: number): number[] {
  return spans.flatMap(({ kind, from, to }) => {
    const settled = kind === "up" || kind === "down" || kind === "failed";
    return [from, settled ? from : Math.min(to, now)];
  });
}

function barOf(name: string, status: Status, needed: readonly Status[], clock: Clock): Bar {
  const since = clock.ofWall(status.since);
  const began = status.process ? Math.min(clock.ofStart(status.process.started), since) : since;
  const spans = spansOf(status, began, since, needed, clock);
  const lasting = spans.filter(({ from, to }) => to > from);
  const from = spans[0]?.from ?? since;
  const wasThere = status.runs > (status.process ? 1 : 0);
  return {
    name: plainText(name),
    earlier: wasThere ? from : null,
    spans: lasting.length > 0 ? lasting : spans.slice(-1),
    note: noteOf(status, since - began),
  };
}

function spansOf(
  status: Status,
  began: number,
  since: number,
  needed: readonly Status[],
  clock: Clock,
): Span[] {
  const { state, process } = status;
  const { now } = clock;
  if (!process) return [{ kind: state, from: since, to: now }];
  if (state === "stopping")
    return [
      { kind: "up", from: began, to: since },
      { kind: state, from: since, to: now },
    ];
  // It waits for what it needs, then it starts itself.
  const ready = state === "up" ? since : now;
  const waited = waitedUntil(began, ready, needed, clock);
  const spans: Span[] = [
    { kind: "waiting", from: began, to: waited },
    { kind: "starting", from: waited, to: ready },
  ];
  return state === "up" ? [...spans, { kind: "up", from: since, to: now }] : spans;
}

/** Until the last of those was up; one that came up later than it has been restarted meanwhile. */
function waitedUntil(
  began: number,
  ready: number,
  needed: readonly Status[],
  clock: Clock,
): number {
  const times = needed.map((s) => (s.state === "up" ? clock.ofWall(s.since) : ready));
  return Math.max(began, ...times.filter((time) => time <= ready));
}

function noteOf({ state, runs, exit, process, reason, wanted }: Status, took: number): string {
  const words: string[] = [];
  if (process && state === "up") words.push(`up after ${seconds(took)}`);
  else words.push(state);
  if (runs > 1) words.push(`${runs - 1} restart${runs === 2 ? "" : "s"}`);
  if (exit) words.push(`${process ? "last " : ""}${describeExit(exit)}`);
  if (reason !== null) words.push(plainText(reason));
  if (!process && wanted === "down") words.push("stopped");
  return words.join(", ");
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;

// ------------------------------------------------------------------- picture

const WIDTH = 760;
const MARGIN = 20;
const HEADER = 78;
const LONGEST = 32;
/** Narrower where there are many, but never too small to be read. */
const ROWS = { few: 24, many: 17, limit: 40 };
const LEGEND: readonly Kind[] = [
  "waiting",
  "starting",
  "up",
  "stopping",
  "finishing",
  "backoff",
  "failed",
  "down",
];

export function draw({ bars, end, title }: Plot): string {
  const row = bars.length > ROWS.limit ? ROWS.many : ROWS.few;
  const longest = Math.max(4, ...bars.map((bar) => Math.min(LONGEST, [...bar.name].length)));
  const left = MARGIN + longest * CHARACTER + 12;
  const notes = Math.max(0, ...bars.map((bar) => Math.min(60, [...bar.note].length)));
  const height = HEADER + bars.length * row;
  const x = (ms: number) => left + (Math.min(ms, end) / Math.max(end, 1)) * WIDTH;
  const right = left + WIDTH + 12 + notes * CHARACTER + MARGIN;
  return document(right, height + 34, title, [
    text(MARGIN, 24, title, { class: "title" }),
    ...legend(),
    ...grid(end, x, HEADER - 8, height),
    ...bars.flatMap((bar, i) => drawBar(bar, HEADER + i * row, row, x, end, left)),
  ]);
}

function legend(): string[] {
  let x = MARGIN;
  return LEGEND.flatMap((kind) => {
    const at = x;
    x += 22 + (kind.length + 2) * CHARACTER;
    const sample = { x: at, y: 35, width: 16, height: 10 };
    return [box(sample, kind, kind), text(at + 21, 44, kind, { class: "small" })];
  });
}

function grid(end: number, x: (ms: number) => number, top: number, bottom: number): string[] {
  const step = tick(end);
  const marks = Array.from({ length: Math.floor(end / step) + 1 }, (_, i) => i * step);
  return marks.flatMap((ms) => {
    const words = tickText(ms, step);
    const label = { class: "small", "text-anchor": "middle" };
    return [
      line(x(ms), top, x(ms), bottom, "grid"),
      text(x(ms), top - 4, words, label),
      text(x(ms), bottom + 15, words, label),
    ];
  });
}

/** Milliseconds between two lines: at most about ten of them. */
export function tick(end: number): number {
  const steps = [1, 2, 5].flatMap((n) => [n, n * 10, n * 100]);
  const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 2880, 10_080];
  const all = [
    ...steps,
    ...steps.map((n) => n * 1000).filter((n) => n < 60_000),
    ...minutes.map((n) => n * 60_000),
  ];
  const found = all.sort((a, b) => a - b).find((step) => end / step <= 10);
  return found ?? end / 10;
}

function tickText(ms: number, step: number): string {
  if (step >= 86_400_000) return `${ms / 86_400_000} d`;
  if (step >= 3_600_000) return `${ms / 3_600_000} h`;
  if (step >= 60_000) return `${ms / 60_000} min`;
  return step >= 1000 ? `${ms / 1000} s` : `${Number((ms / 1000).toFixed(3))} s`;
}

function drawBar(
  bar: Bar,
  top: number,
  row: number,
  x: (ms: number) => number,
  end: number,
  left: number,
): string[] {
  const height = row - 6;
  const base = top + height - (height - 9) / 2;
  const parts = [text(MARGIN, base, shorten(bar.name, LONGEST))];
  // What it did before is not known.
  if (bar.earlier !== null) {
    const y = top + height / 2;
    parts.push(line(left, y, x(bar.earlier), y, "unknown"));
  }
  for (const { kind, from, to } of bar.spans) {
    if (from > end) continue;
    const width = Math.max(1.5, x(to) - x(from));
    const hint = `${bar.name}: ${kind} from ${seconds(from)} to ${seconds(to)}`;
    parts.push(box({ x: x(from), y: top, width, height }, kind, hint));
  }
  parts.push(text(left + WIDTH + 12, base, shorten(bar.note, 60), { class: "small" }));
  return parts;
}
