/** What svctl shows of services. */
import { STATUS_GRACE } from "../../config.ts";
import { Alarm } from "../alarm.ts";
import { escapeBytes, getenv } from "../bytes.ts";
import { type Options, out, parseSeconds } from "../cli.ts";
import * as libc from "../libc.ts";
import * as proc from "../proc.ts";
import { Progress, waitingFor } from "../progress.ts";
import { columns, isUp, type Shown, statusLine, statusObject } from "../report.ts";
import { isServiceName, loggerOf, type RunDir } from "../rundir.ts";
import type { SysDir } from "../sysdir.ts";

/** Whatever is in SYSDIR, and what still runs though it is not. */
export function showAll(rundir: RunDir, source: SysDir): Shown[] {
  const names = source.entries();
  const present = new Set(Array.isArray(names) ? names.filter(isServiceName) : []);
  return [...new Set([...present, ...rundir.entries()])]
    .sort()
    .flatMap((name) => withLogger(rundir, name))
    .filter((shown) => shown.status !== null || present.has(shown.name));
}

/** A service, and under it its logger. */
export function withLogger(rundir: RunDir, name: string): Shown[] {
  const shown = show(rundir, name);
  return shown.status?.logger ? [shown, show(rundir, loggerOf(name))] : [shown];
}

export function show(rundir: RunDir, name: string): Shown {
  const status = rundir.status(name);
  const waiters = status?.process ? rundir.waiters(name, status.process) : [];
  const unknown = status === null && rundir.isMet(name);
  return { name, status, unknown, waitingFor: waiters.flatMap((w) => w.services) };
}

/** The same once all that sysmgr has met have a status again, or that takes too long. */
export async function whole(rundir: RunDir, shown: () => Shown[]): Promise<Shown[]> {
  const found = shown();
  const unknown = found.filter((s) => s.unknown);
  if (unknown.length === 0) return found;
  const alarm = new Alarm();
  const deadline = performance.now() + STATUS_GRACE;
  for (const { name } of unknown) await alarm.statusOf(rundir, name, deadline);
  return shown();
}

/**
 * For probes: are all up, as far as they are wanted, or done, if they are to run once? Says which
 * are not. It waits only if it is told how long.
 */
export async function areReady(
  rundir: RunDir,
  shown: () => Shown[],
  options: Options,
): Promise<boolean> {
  const given = options.value("t");
  const deadline = performance.now() + (given === undefined ? 0 : parseSeconds(given, "-t"));
  const alarm = new Alarm();
  let waiting: Shown[] = [];
  const waited = () => waitingFor(waiting.map((s) => s.name));
  const progress = new Progress(waited, options.has("q"));
  for (;;) {
    if (given !== undefined) for (const { name } of shown()) alarm.watchService(rundir, name);
    waiting = shown().filter((s) => !isReady(s));
    if (waiting.length > 0 && (await alarm.ring(deadline))) continue;
    progress.end();
    if (!options.has("q")) printLines(waiting);
    return waiting.length === 0;
  }
}

function isReady({ status }: Shown): boolean {
  if (!status || status.wanted === "up") return status?.state === "up";
  const isDone = status.exit !== null && "code" in status.exit && status.exit.code === 0;
  return status.wanted === "down" || status.state === "up" || (!status.process && isDone);
}

/** Prints the status of each; true when all are UP. */
export function report(shown: readonly Shown[], options: Options): boolean {
  if (options.has("json")) out(json(shown.map(statusObject)));
  else if (!options.has("q")) printLines(shown);
  return shown.every(isUp);
}

export function printLines(shown: readonly Shown[]): void {
  const terminal = libc.isTerminal(1);
  const style = {
    width: terminal ? Math.max(0, ...shown.map((s) => columns(escapeBytes(s.name)))) : 0,
    colour: terminal && !getenv("NO_COLOR"),
  };
  const moment = { now: Date.now(), uptime: proc.ageOf(0) };
  out(shown.map((s) => `${statusLine(s, style, moment)}\n`).join(""));
}

/** One object per line: a JSON array that is also fit for grep; text in, bytes out. */
function json(objects: readonly unknown[]): string {
  const lines = objects.map((o) => JSON.stringify(o)).join(",\n");
  return Buffer.from(`[${lines}]\n`, "utf8").toString("latin1");
}
