/** svctl plot: every service as a bar since sysmgr was started, as SVG. */
import { parseCount } from "../bytes.ts";
import { Failure, out, UsageError } from "../cli.ts";
import * as proc from "../proc.ts";
import type { Shown } from "../report.ts";
import { describeExit, type Status } from "../status.ts";
import { formatAge } from "../transition.ts";
import { Census } from "./census.ts";
import { openRundir, plainText, refuseNames, utf8, type View } from "./eye.ts";
import { draw } from "./plot-svg.ts";

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

export type Kind = Status["state"] | "waiting";
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

export const seconds = (ms: number) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
