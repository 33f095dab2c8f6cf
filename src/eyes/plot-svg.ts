/** The picture of `svctl plot`: a bar for each service, below a line of time. Pure. */
import { type Bar, type Kind, type Plot, seconds } from "./plot.ts";
import { box, CHARACTER, document, line, shorten, text } from "./svg.ts";

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
  // What it did between its first start and these is not known.
  if (bar.earlier !== null) {
    const y = top + height / 2;
    parts.push(line(x(bar.earlier.from), y, x(bar.earlier.to), y, "unknown"));
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
