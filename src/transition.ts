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
 * Every exit leads through `finishing` if the service has a finish script.
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
  CHECK_INTERVAL,
  MIN_UPTIME,
  SETTLE,
  SETTLE_DEPENDS,
  SETTLE_RETURNED,
  SPAWN_RETRY,
} from "../config.ts";
import { escapeBytes } from "./bytes.ts";
import { SIGNALS } from "./libc.ts";
import { PLAIN, type Restart, type Settings } from "./settings.ts";
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
  /** As they were when the process was started. */
  readonly settings: Settings;
  /** While its finish script runs: what the end was like. */
  readonly end: End | null;
};

/** How long a life was, when it ended, and whether it was told to. */
type End = { readonly uptime: number; readonly at: number; readonly asked: boolean };

/** `now` in all of them: milliseconds of a clock that never jumps. */
export type Event =
  /** The stop marker is so now; `signal`: what to stop with, if it says. */
  | { readonly type: "marker"; readonly marker: Marker }
  | { readonly type: "command"; readonly command: "up" | "down" | "once" | "restart" }
  /** A signal that was asked for by name. */
  | { readonly type: "signal"; readonly signal: number }
  /** `chained`: its last life called sysmgr-depends. */
  | {
      readonly type: "spawned";
      readonly process: ProcessId;
      readonly chained: boolean;
      readonly settings: Settings;
    }
  /** `passing`: the cause may go away by itself (busy file, full process table). */
  | { readonly type: "unspawned"; readonly reason: string; readonly passing: boolean }
  /** `marker`: as it was found then: a service may have written its own before it ended. */
  | { readonly type: "exited"; readonly exit: Exit; readonly marker: Marker }
  /** `waiting`: a sysmgr-depends runs in the service. */
  | { readonly type: "timer"; readonly waiting: boolean }
  /** Its finish script has ended; the marker as above. */
  | { readonly type: "finished"; readonly marker: Marker }
  /** It said that it is ready. */
  | { readonly type: "ready" }
  /** Its check has ended: a success? */
  | { readonly type: "checked"; readonly passed: boolean }
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
  /** KILL, whatever the service would have instead. */
  | { readonly type: "kill" }
  /** Run its finish script: answered by `finished`. */
  | { readonly type: "finish"; readonly exit: Exit }
  /** Run its check: answered by `checked`. */
  | { readonly type: "check" }
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
  settings: PLAIN,
  end: null,
};

export function transition(life: Life, event: Event, now: number): [Life, Effect[]] {
  switch (event.type) {
    case "marker":
      return onMarker(life, event.marker, now);
    case "command":
      return onCommand(life, event.command, now);
    case "signal":
      return onSignal(life, event.signal);
    case "spawned":
      return onSpawned(life, event, now);
    case "unspawned":
      return onUnspawned(life, event.reason, event.passing, now);
    case "exited":
      return onExited(life, event.exit, event.marker, now);
    case "finished":
      return onFinished(life, event.marker, now);
    case "timer":
      return onTimer(life, event.waiting, now);
    case "ready":
      return isStarting(life) ? up(life) : [life, []];
    case "checked":
      return onChecked(life, event.passed, now);
    case "returned":
      return isStarting(life) && !speaks(life.settings)
        ? [{ ...life, due: now + SETTLE_RETURNED }, []]
        : [life, []];
    case "entry":
      return onEntry(life, event.changed);
    case "present":
      return life.leaving ? reconcile({ ...life, leaving: false }, now) : [life, []];
    case "leave":
      return reconcile({ ...life, leaving: true }, now);
  }
}

/** Should a process be there? */
function wantsRun(life: Life): boolean {
  return life.wanted === "up" && !life.leaving;
}

function start(life: Life, ...before: Effect[]): [Life, Effect[]] {
  return [{ ...life, state: "starting", process: null, due: null }, [...before, { type: "spawn" }]];
}

function stop(life: Life, now: number, asked: number | null = null): [Life, Effect[]] {
  const { stopSignal, stopTimeout } = life.settings;
  const due = stopTimeout === null ? null : now + stopTimeout;
  return [{ ...life, state: "stopping", due }, [{ type: "stop", signal: asked ?? stopSignal }]];
}

/** Its process runs, and does not count as up yet. */
function isStarting(life: Life): boolean {
  return life.state === "starting" && life.process !== null;
}

/** It, or its check, says when it is ready. */
function speaks(settings: Settings): boolean {
  return settings.check || settings.notificationFd !== null;
}

function up(life: Life): [Life, Effect[]] {
  return [{ ...life, state: "up", due: null }, [log("debug", "up")]];
}

/** Brings what is so towards what is wanted, when the latter has changed. */
function reconcile(life: Life, now: number, signal: number | null = null): [Life, Effect[]] {
  if (life.process) {
    const mayRun = !life.leaving && life.wanted !== "down";
    return mayRun || life.state === "stopping" ? [life, []] : stop(life, now, signal);
  }
  // What is wanted is looked at again when that is over.
  if (life.state === "finishing") return [life, []];
  if (!wantsRun(life)) return [{ ...life, state: "down", due: null, reason: null }, []];
  return life.state === "down" ? start(life) : [life, []];
}

function onMarker(life: Life, { wanted, signal }: Marker, now: number): [Life, Effect[]] {
  if (life.wanted === wanted && life.stopSignal === signal) return [life, []];
  const marked = { ...life, wanted, stopSignal: signal, again: false };
  // A signal that is written into the marker during a stop is meant for now.
  if (life.process && life.state === "stopping" && signal !== null) {
    return [marked, [{ type: "stop", signal }]];
  }
  return reconcile(marked, now, signal);
}

type Command = "up" | "down" | "once" | "restart";

function onCommand(life: Life, command: Command, now: number): [Life, Effect[]] {
  // Whoever asks wants it now: a wait, and what it was for, are over.
  const fresh = { ...life, short: 0 };
  if (command === "down") {
    const down = { ...fresh, wanted: "down", stopSignal: null, again: false } as const;
    const mark = { type: "mark", content: "" } as const;
    const [next, effects] = life.process ? stop(down, now) : reconcile(down, now);
    return [next, [mark, ...effects]];
  }
  const wanted = command === "once" ? "once" : "up";
  const mark = { type: "mark", content: command === "once" ? "once\n" : null } as const;
  const ending = life.state === "stopping" || life.state === "finishing";
  const again = command === "once" && ending;
  const asked = { ...fresh, wanted, stopSignal: null, again } as const;
  if (life.leaving) return [asked, [mark]];
  // Started as soon as that is over, however short the life was.
  if (life.end) return [{ ...asked, end: { ...life.end, asked: true } }, [mark]];
  if (!life.process) return life.state === "starting" ? [asked, [mark]] : start(asked, mark);
  if (command !== "restart") return [asked, [mark]];
  const [next, effects] = stop(asked, now);
  return [next, [mark, ...effects]];
}

function onSignal(life: Life, signal: number): [Life, Effect[]] {
  // A stop that has begun is completed: who is paused would never end.
  const futile = life.state === "stopping" && signal === SIGNALS.STOP;
  return [life, life.process && !futile ? [{ type: "signal", signal }] : []];
}

function onSpawned(
  life: Life,
  { process, chained, settings }: Event & { type: "spawned" },
  now: number,
): [Life, Effect[]] {
  const { notificationFd, check } = settings;
  const settle = chained && !check ? SETTLE_DEPENDS : SETTLE;
  const next: Life = {
    ...life,
    state: "starting",
    process,
    begun: now,
    due: notificationFd !== null && !check ? null : now + settle,
    runs: life.runs + 1,
    reason: null,
    settings,
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
  const end: End = { uptime: now - life.begun, at: now, asked: life.state === "stopping" };
  const ended: Life = { ...life, process: null, due: null, exit };
  const what = `${describeExit(exit)} after ${formatAge(end.uptime)}`;
  const { wanted } = marker;
  if (!life.settings.finish) return answer(ended, end, what, marker, now);
  return [
    { ...ended, state: "finishing", wanted, again: life.again && wanted === "once", end },
    [log("info", `${what}; finishing`), { type: "finish", exit }],
  ];
}

function onFinished(life: Life, marker: Marker, now: number): [Life, Effect[]] {
  if (life.state !== "finishing" || !life.end) return [life, []];
  return answer({ ...life, end: null }, life.end, "finished", marker, now);
}

/** A life is over, finish script and all: what comes next? */
function answer(
  life: Life,
  end: End,
  what: string,
  { wanted }: Marker,
  now: number,
): [Life, Effect[]] {
  const ended: Life = { ...life, wanted, again: false };
  const { restart, delay } = life.settings;
  if (!wantsRun(ended) && !(life.again && wanted === "once" && !life.leaving)) {
    return [{ ...ended, state: "down", short: 0 }, [log("info", `${what}; down`)]];
  }
  if (end.asked) return start({ ...ended, short: 0 }, log("info", `${what}; restarting`));
  if (restart && isFinal(life.exit, restart)) {
    // As if it had been started once: so it stays, whoever supervises it.
    return [
      { ...ended, state: "down", wanted: "once", short: 0 },
      [
        log("info", `${what}; down (restart: ${restart.text})`),
        { type: "mark", content: "once\n" },
      ],
    ];
  }
  const short = end.uptime >= MIN_UPTIME ? 0 : life.short + 1;
  const own = delay && (end.uptime < delay.below ? delay.wait : 0);
  const due = end.at + (own ?? (short > 0 ? backoff(short) : 0));
  if (due <= now) return start({ ...ended, short }, log("info", `${what}; restarting`));
  const text = `${what}; next start in ${formatAge(due - now)}`;
  return [{ ...ended, state: "backoff", short, due }, [log("info", text)]];
}

/** Is it started no more after such an end? */
export function isFinal(exit: Exit | null, restart: Restart | null): boolean {
  if (restart === null) return false;
  const { unless } = restart;
  if (unless === "any") return true;
  return exit !== null && "code" in exit && unless.includes(exit.code);
}

function onTimer(life: Life, waiting: boolean, now: number): [Life, Effect[]] {
  if (life.due === null || now < life.due) return [life, []];
  const rung = { ...life, due: null };
  if (life.state === "backoff") return start(rung);
  if (life.state === "stopping" && life.process) {
    const text = `still runs after ${formatAge(life.settings.stopTimeout ?? 0)}; KILL`;
    return [rung, [log("info", text), { type: "kill" }]];
  }
  if (!isStarting(life)) return [rung, []];
  if (life.settings.check) return [rung, [{ type: "check" }]];
  return waiting ? [rung, []] : up(rung);
}

function onChecked(life: Life, passed: boolean, now: number): [Life, Effect[]] {
  if (!isStarting(life)) return [life, []];
  return passed ? up(life) : [{ ...life, due: now + CHECK_INTERVAL }, []];
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
export function stopSignals(signal: number | null): [stop: number, cont: number] {
  return [signal ?? SIGNALS.TERM, SIGNALS.CONT];
}
