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
  /** From its first start to what is known of it, if that is not all; null: all is known. */
  readonly earlier: { readonly from: number; readonly to: number } | null;
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
  const wall = Date.now();
  const age = proc.ageOf(stat.started);
  const clock = {
    now: age,
    /** Of a time since the epoch, and of a start time of a process. */
    ofWall: (ms: number) => Math.max(0, ms - wall + age),
    ofStart: (started: number) =>
      Math.max(0, (started - stat.started) * (1000 / proc.TICKS_PER_SECOND)),
  };
  out(utf8(draw(plot(all, clock, end))));
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
export function plot(all: readonly Shown[], clock: Clock, end: number | null): Plot {
  const known = all.flatMap((s) => (s.status ? [{ ...s, status: s.status }] : []));
  const bars = known
    .map((service) => barOf(service, clock))
    .sort((a, b) => beginning(a) - beginning(b) || (a.name < b.name ? -1 : 1));
  const last = Math.max(0, ...bars.flatMap((bar) => lastChange(bar, clock.now)));
  const shown = end ?? Math.min(clock.now, Math.max(last * 1.15, 100));
  return { bars, end: shown, title: titleOf(known, clock.now) };
}

function titleOf(all: readonly Known[], age: number): string {
  const up = all.filter((s) => s.status.state === "up").length;
  return `${all.length} service${all.length === 1 ? "" : "s"}, ${up} up, ${formatAge(age)} after sysmgr was started`;
}

const beginning = (bar: Bar) => bar.earlier?.from ?? bar.spans[0]?.from ?? 0;

function lastChange({ spans }: Bar, now: number): number[] {
  return spans.flatMap(({ kind, from, to }) => {
    const settled = kind === "up" || kind === "down" || kind === "failed";
    return [from, settled ? from : Math.min(to, now)];
  });
}

type Known = Shown & { readonly status: Status };

function barOf({ name, status, waitingFor }: Known, clock: Clock): Bar {
  const { state, process, runs } = status;
  const since = clock.ofWall(status.since);
  const first = status.first === null ? null : clock.ofWall(status.first);
  const began = beganAt(status, first, clock);
  const life = began === null ? [] : lifeOf(status, began, waitingFor.length > 0, clock);
  const rests = !process || state === "stopping";
  const spans = rests ? [...life, { kind: state, from: since, to: clock.now }] : life;
  const lasting = spans.filter(({ from, to }) => to > from);
  const isWhole = runs === 0 || (runs === 1 && began !== null);
  return {
    name: plainText(name),
    earlier: isWhole ? null : { from: first ?? 0, to: began ?? since },
    spans: lasting.length > 0 ? lasting : spans.slice(-1),
    note: noteOf(status, since - (began ?? since)),
  };
}

/** Where what is known of the present life, or of the last one, begins. */
function beganAt(status: Status, first: number | null, clock: Clock): number | null {
  const { process, runs, ready } = status;
  const since = clock.ofWall(status.since);
  if (process) return Math.min(clock.ofStart(process.started), since);
  if (runs === 1 && first !== null) return Math.min(first, since);
  return ready === null ? null : Math.min(clock.ofWall(ready), since);
}

/** It waits for others, then it starts itself, then it is up: until it is stopped, or ends, or now. */
function lifeOf(status: Status, began: number, waits: boolean, clock: Clock): Span[] {
  const { state, process, ready, since, waited } = status;
  const end = process && state !== "stopping" ? clock.now : clock.ofWall(since);
  const wasReady = ready !== null || state === "up";
  const up = wasReady ? Math.min(end, Math.max(began, clock.ofWall(ready ?? since))) : end;
  const started = waits && !wasReady ? up : Math.min(up, began + waited);
  return [
    { kind: "waiting", from: began, to: started },
    { kind: "starting", from: started, to: up },
    { kind: "up", from: up, to: end },
  ];
}

function noteOf(status: Status, took: number): string {
  const { state, runs, exit, process, reason, wanted, waited } = status;
  const words: string[] = [];
  const part = waited > 0 ? ` (waited ${seconds(waited)})` : "";
  if (process && state === "up") words.push(`up after ${seconds(took)}${part}`);
  else words.push(state);
  if (runs > 1) words.push(`${runs - 1} restart${runs === 2 ? "" : "s"}`);
  if (exit) words.push(`${process ? "last " : ""}${describeExit(exit)}`);
  if (reason !== null) words.push(plainText(reason));
  if (!process && wanted === "down") words.push("stopped");
  return words.join(", ");
}

export const seconds = (ms: number) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
