/**
 * The life of a service, as one pure function: (life, event, now) -> (life, effects).
 *
 *     down ---spawn---> starting ---ready---> up
 *      ^                 |    |               |
 *      |  stop marker    |    | exit          | exit        (uptime >= MIN_UPTIME: spawn again;
 *      +---- exit -- stopping |               |              less: backoff first)
 *      |                      v               v
 *      +------------------ backoff <----------+             failed: cannot be started at all
 *
 * What is wanted and what is so are kept apart. Wanted is `up`, `once` or `down` (the stop
 * marker), and `leaving` when the service was removed or the supervisor ends: then it is
 * stopped whatever the marker says. What is so is the process: there is one, or there is
 * none. A state says how we came there and what is awaited. Three rules hold everywhere:
 * - a process that is there is never joined by a second one: every spawn follows an exit;
 * - a stop that has begun is completed (the process exits) before a start that follows;
 * - a stop wins over every wait: starting, backoff, failed.
 *
 * The scanner keeps one Life per service, writes it down when it has changed, carries out
 * the effects in order, and wakes it with a `timer` event at `due`.
 */
import {
  BACKOFF,
  MIN_UPTIME,
  SETTLE,
  SETTLE_DEPENDS,
  SETTLE_RETURNED,
  SPAWN_RETRY,
} from "../config.ts";
import { escapeBytes } from "./bytes.ts";
import { SIGNALS } from "./libc.ts";
import {
  describeExit,
  type Exit,
  type Marker,
  type ProcessId,
  type State,
  type Wanted,
} from "./status.ts";

export type Life = {
  readonly state: State;
  readonly wanted: Wanted;
  /** Removed, or shutting down: stop, start no more. */
  readonly leaving: boolean;
  /** The signal that the stop marker names. */
  readonly stopSignal: number | null;
  /** Asked for `once` while it was being stopped: to be started once that is done. */
  readonly again: boolean;
  readonly process: ProcessId | null;
  /** When the process was started, on the clock of `now`. */
  readonly begun: number;
  /** When a `timer` event is to come, on the same clock; null: none. */
  readonly due: number | null;
  /** Lives begun. */
  readonly runs: number;
  /** Lives in a row that were shorter than MIN_UPTIME. */
  readonly short: number;
  readonly exit: Exit | null;
  /** Why it could not be started. */
  readonly reason: string | null;
};

/** `now` in all of them: milliseconds of a clock that never jumps. */
export type Event =
  /** The stop marker is so now; `signal`: what to stop with, if it says. */
  | { readonly type: "marker"; readonly marker: Marker }
  | { readonly type: "command"; readonly command: "up" | "down" | "once" | "restart" }
  /** A signal that was asked for by name. */
  | { readonly type: "signal"; readonly signal: number }
  /** `chained`: its last life called sysmgr-depends. */
  | { readonly type: "spawned"; readonly process: ProcessId; readonly chained: boolean }
  /** `passing`: the cause may go away by itself (busy file, full process table). */
  | { readonly type: "unspawned"; readonly reason: string; readonly passing: boolean }
  /** `marker`: as it was found then: a service may have written its own before it ended. */
  | { readonly type: "exited"; readonly exit: Exit; readonly marker: Marker }
  /** `waiting`: a sysmgr-depends runs in the service. */
  | { readonly type: "timer"; readonly waiting: boolean }
  /** The last sysmgr-depends in the service has ended. */
  | { readonly type: "returned" }
  /** Its entry in SYSDIR has changed, or everything is looked at again. */
  | { readonly type: "entry"; readonly changed: boolean }
  /** It is in SYSDIR (again), and nobody shuts down. */
  | { readonly type: "present" }
  | { readonly type: "leave" };

export type Effect =
  /** Start it: answered by `spawned` or `unspawned`. */
  | { readonly type: "spawn" }
  | { readonly type: "signal"; readonly signal: number }
  /** The stop signal of this service, or this one in its place. */
  | { readonly type: "stop"; readonly signal: number | null }
  /** Write the stop marker, or remove it (null). */
  | { readonly type: "mark"; readonly content: string | null }
  | { readonly type: "log"; readonly level: Level; readonly text: string };

export type Level = "error" | "info" | "debug";

export const newborn: Life = {
  state: "down",
  wanted: "down",
  leaving: false,
  stopSignal: null,
  again: false,
  process: null,
  begun: 0,
  due: null,
  runs: 0,
  short: 0,
  exit: null,
  reason: null,
};

export function transition(life: Life, event: Event, now: number): [Life, Effect[]] {
  switch (event.type) {
    case "marker":
      return onMarker(life, event.marker);
    case "command":
      return onCommand(life, event.command);
    case "signal":
      return onSignal(life, event.signal);
    case "spawned":
      return onSpawned(life, event.process, event.chained, now);
    case "unspawned":
      return onUnspawned(life, event.reason, event.passing, now);
    case "exited":
      return onExited(life, event.exit, event.marker, now);
    case "timer":
      return onTimer(life, event.waiting, now);
    case "returned":
      return life.state === "starting" && life.process
        ? [{ ...life, due: now + SETTLE_RETURNED }, []]
        : [life, []];
    case "entry":
      return onEntry(life, event.changed);
    case "present":
      return life.leaving ? reconcile({ ...life, leaving: false }) : [life, []];
    case "leave":
      return reconcile({ ...life, leaving: true });
  }
}

/** Should a process be there? */
function wantsRun(life: Life): boolean {
  return life.wanted === "up" && !life.leaving;
}

function start(life: Life, ...before: Effect[]): [Life, Effect[]] {
  return [{ ...life, state: "starting", process: null, due: null }, [...before, { type: "spawn" }]];
}

function stop(life: Life, signal: number | null = null): [Life, Effect[]] {
  return [{ ...life, state: "stopping", due: null }, [{ type: "stop", signal }]];
}

/** Brings what is so towards what is wanted, when the latter has changed. */
function reconcile(life: Life, signal: number | null = null): [Life, Effect[]] {
  if (life.process) {
    const mayRun = !life.leaving && life.wanted !== "down";
    return mayRun || life.state === "stopping" ? [life, []] : stop(life, signal);
  }
  if (!wantsRun(life)) return [{ ...life, state: "down", due: null, reason: null }, []];
  return life.state === "down" ? start(life) : [life, []];
}

function onMarker(life: Life, { wanted, signal }: Marker): [Life, Effect[]] {
  if (life.wanted === wanted && life.stopSignal === signal) return [life, []];
  const marked = { ...life, wanted, stopSignal: signal, again: false };
  // A signal that is written into the marker during a stop is meant for now.
  if (life.process && life.state === "stopping" && signal !== null) {
    return [marked, [{ type: "stop", signal }]];
  }
  return reconcile(marked, signal);
}

function onCommand(life: Life, command: "up" | "down" | "once" | "restart"): [Life, Effect[]] {
  // Whoever asks wants it now: a wait, and what it was for, are over.
  const fresh = { ...life, short: 0 };
  if (command === "down") {
    const down = { ...fresh, wanted: "down", stopSignal: null, again: false } as const;
    const mark = { type: "mark", content: "" } as const;
    const [next, effects] = life.process ? stop(down) : reconcile(down);
    return [next, [mark, ...effects]];
  }
  const wanted = command === "once" ? "once" : "up";
  const mark = { type: "mark", content: command === "once" ? "once\n" : null } as const;
  const again = command === "once" && life.state === "stopping";
  const asked = { ...fresh, wanted, stopSignal: null, again } as const;
  if (life.leaving) return [asked, [mark]];
  if (!life.process) return life.state === "starting" ? [asked, [mark]] : start(asked, mark);
  if (command !== "restart") return [asked, [mark]];
  const [next, effects] = stop(asked);
  return [next, [mark, ...effects]];
}

function onSignal(life: Life, signal: number): [Life, Effect[]] {
  // A stop that has begun is completed: who is paused would never end.
  const futile = life.state === "stopping" && signal === SIGNALS.STOP;
  return [life, life.process && !futile ? [{ type: "signal", signal }] : []];
}

function onSpawned(
  life: Life,
  process: ProcessId,
  chained: boolean,
  now: number,
): [Life, Effect[]] {
  const next: Life = {
    ...life,
    state: "starting",
    process,
    begun: now,
    due: now + (chained ? SETTLE_DEPENDS : SETTLE),
    runs: life.runs + 1,
    reason: null,
  };
  return [next, [log("info", `started, pid ${process.pid}`)]];
}

function onUnspawned(life: Life, reason: string, passing: boolean, now: number): [Life, Effect[]] {
  const report = log(
    life.reason === reason ? "debug" : "error",
    `cannot start: ${escapeBytes(reason)}`,
  );
  if (!passing) return [{ ...life, state: "failed", due: null, reason }, [report]];
  return [{ ...life, state: "backoff", due: now + SPAWN_RETRY, reason }, [report]];
}

function onExited(life: Life, exit: Exit, marker: Marker, now: number): [Life, Effect[]] {
  const uptime = now - life.begun;
  const asked = life.state === "stopping";
  const { wanted } = marker;
  const ended: Life = { ...life, wanted, process: null, due: null, exit, again: false };
  const what = `${describeExit(exit)} after ${formatAge(uptime)}`;
  if (!wantsRun(ended) && !(life.again && wanted === "once" && !life.leaving)) {
    return [{ ...ended, state: "down", short: 0 }, [log("info", `${what}; down`)]];
  }
  if (asked) return start({ ...ended, short: 0 }, log("info", `${what}; restarting`));
  if (uptime >= MIN_UPTIME) {
    return start({ ...ended, short: 0 }, log("info", `${what}; restarting`));
  }
  const short = life.short + 1;
  const wait = backoff(short);
  const text = `${what}; next start in ${formatAge(wait)}`;
  return [{ ...ended, state: "backoff", short, due: now + wait }, [log("info", text)]];
}

function onTimer(life: Life, waiting: boolean, now: number): [Life, Effect[]] {
  if (life.due === null || now < life.due) return [life, []];
  const rung = { ...life, due: null };
  if (life.state === "backoff") return start(rung);
  if (life.state !== "starting" || !life.process) return [rung, []];
  return waiting ? [rung, []] : [{ ...rung, state: "up" }, [log("debug", "up")]];
}

function onEntry(life: Life, changed: boolean): [Life, Effect[]] {
  const stuck = life.state === "failed" || (life.state === "backoff" && life.reason !== null);
  if (!stuck || life.process || !wantsRun(life)) return [life, []];
  if (life.state === "backoff" && !changed) return [life, []];
  // A change of the entry makes its trouble new: it is reported again.
  return start(changed ? { ...life, reason: null, short: 0 } : life);
}

/** The wait after so many short lives in a row. */
export function backoff(short: number): number {
  return BACKOFF[Math.min(short, BACKOFF.length) - 1] ?? BACKOFF[0];
}

/** 20 ms, 0.3 s, 12 s, 5 min, 3 h, 2 d: coarse, for people. */
export function formatAge(ms: number): string {
  const s = ms / 1000;
  if (s < 0.0995) return `${Math.round(ms)} ms`;
  if (s < 9.95) return `${Number(s.toFixed(1))} s`;
  if (s < 600) return `${Math.round(s)} s`;
  if (s < 2 * 3600) return `${Math.round(s / 60)} min`;
  return s < 2 * 86400 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

function log(level: Level, text: string): Effect {
  return { type: "log", level, text };
}

/** TERM, or what the service is to be stopped with; CONT lets a stopped process take it. */
export function stopSignals(signal: number | null): number[] {
  return [signal ?? SIGNALS.TERM, SIGNALS.CONT];
}
