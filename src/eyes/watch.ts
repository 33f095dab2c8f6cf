/** svctl watch: one line for whatever happens to services, from now on. */
import { CLIENT_POLL } from "../../config.ts";
import { endIfUnread, out } from "../cli.ts";
import * as libc from "../libc.ts";
import { type Shown, statusObject } from "../report.ts";
import type { RunDir } from "../rundir.ts";
import { describeExit } from "../status.ts";
import { formatAge } from "../transition.ts";
import { Census } from "./census.ts";
import { chosen, openRundir, plainText, utf8, type View } from "./eye.ts";
import { formatTime } from "./logs.ts";

export const usage = `usage: svctl watch [--json] [SERVICE...]

Print a line for each change of a service, or of any, until it is interrupted.

  --json         print an object on each line: time, event, and what status --json has
  -d SYSDIR      directory of services
  -r RUNDIR      directory of state
`;

export const spec = { boolean: ["json"] };

export type Event = {
  readonly kind: "new" | "state" | "wanted" | "waiting" | "removed" | "sysmgr";
  /** null: it is sysmgr itself, which came or went. */
  readonly shown: Shown | null;
  /** What happened, in words. */
  readonly text: string;
};

export async function run({ options, names, rundir: path }: View): Promise<number> {
  const rundir = openRundir(path);
  const census = new Census(rundir);
  const wanted = (shown: Shown) => names.length === 0 || names.includes(shown.name);
  let before = census.look();
  chosen(before, names);
  let mark = markOf(census.directory);
  for (;;) {
    const now = Date.now();
    const after = census.look();
    const current = markOf(census.directory);
    const own = supervisorEvents(mark, current);
    const others = changes(before, after, now);
    // It comes before its services, and goes after them.
    const events = current.pid === null ? [...others, ...own] : [...own, ...others];
    mark = current;
    before = after;
    const lines = events.filter((e) => !e.shown || wanted(e.shown));
    const show = options.has("json") ? jsonLine : textLine;
    if (lines.length > 0) out(lines.map((e) => show(e, now)).join(""));
    endIfUnread();
    await nextChange(census);
  }
}

/** Until something changed; now and then where that cannot be heard. */
async function nextChange(census: Census): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  census.listen(resolve);
  const timer = census.isBlind ? setTimeout(resolve, CLIENT_POLL) : null;
  // A sysmgr that is killed changes no file, and a reader that goes away none either.
  const slow = setInterval(resolve, 1_000);
  await promise;
  if (timer) clearTimeout(timer);
  clearInterval(slow);
}

/** Which sysmgr works there. */
function markOf(rundir: RunDir): { pid: number | null; mark: string } {
  return { pid: rundir.supervisor(), mark: rundir.supervisorMark() };
}

type Mark = ReturnType<typeof markOf>;

function supervisorEvents(before: Mark, after: Mark): Event[] {
  if (before.pid === after.pid && before.mark === after.mark) return [];
  if (after.pid === null) return [{ kind: "sysmgr", shown: null, text: "ended" }];
  return [{ kind: "sysmgr", shown: null, text: `started, pid ${after.pid}` }];
}

/** What is different between two looks. Pure. */
export function changes(before: readonly Shown[], after: readonly Shown[], now: number): Event[] {
  const old = new Map(before.map((shown) => [shown.name, shown]));
  const present = new Set(after.map((shown) => shown.name));
  const removed = before.filter((shown) => !present.has(shown.name));
  return [
    ...removed.map((shown): Event => ({ kind: "removed", shown, text: "removed" })),
    ...after.flatMap((shown) => changesOf(old.get(shown.name) ?? null, shown, now)),
  ];
}

function changesOf(before: Shown | null, shown: Shown, now: number): Event[] {
  if (before === shown) return [];
  const [was, is] = [before?.status, shown.status];
  if (!is) return [];
  const events: Event[] = [];
  if (!was) events.push({ kind: "new", shown, text: describe(shown, now) });
  else if (
    was.state !== is.state ||
    was.runs !== is.runs ||
    was.process?.pid !== is.process?.pid ||
    was.reason !== is.reason
  )
    events.push({ kind: "state", shown, text: describe(shown, now) });
  else if (was.wanted !== is.wanted)
    events.push({ kind: "wanted", shown, text: `wanted ${is.wanted}` });
  const waits = shown.waitingFor.join(" ");
  // Also of one that waits already when it is first seen.
  if (waits !== (before?.waitingFor.join(" ") ?? "")) {
    const whom = shown.waitingFor.map(plainText).join(" ");
    events.push({ kind: "waiting", shown, text: whom ? `waiting for ${whom}` : "waits no more" });
  }
  return events;
}

/** `up, pid 812, 3 runs`, `backoff, exited with 1, next start in 2 s`. */
function describe({ status }: Shown, now: number): string {
  if (!status) return "";
  const { state, process, runs, exit, next, reason } = status;
  const words: string[] = [state];
  if (process) words.push(`pid ${process.pid}`);
  if (process && runs > 1) words.push(`${runs} runs`);
  if (!process && exit && state !== "starting") words.push(describeExit(exit));
  if (reason !== null) words.push(`cannot start: ${plainText(reason)}`);
  if (next !== null) words.push(`next start in ${formatAge(Math.max(0, next - now))}`);
  return words.join(", ");
}

export function textLine({ shown, text }: Event, now: number): string {
  const local = libc.localTime(BigInt(Math.floor(now / 1000)));
  const time = local ? `${formatTime(local, now % 1000)} ` : "";
  return utf8(`${time}${shown ? plainText(shown.name) : "sysmgr"}: ${text}\n`);
}

export function jsonLine({ kind, shown, text }: Event, now: number): string {
  const head = { time: now / 1000, event: kind, text };
  const object = shown ? { ...head, ...statusObject(shown) } : { ...head, name: null };
  return utf8(`${JSON.stringify(object)}\n`);
}
