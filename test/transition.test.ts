/** The transition function, cell by cell: what a service in each situation does on each event. */
import { describe, expect, test } from "bun:test";
import { type Effect, type Event, type Life, newborn, transition } from "../src/transition.ts";

const NOW = 1_000_000;
const running = {
  ...newborn,
  wanted: "up",
  process: { pid: 812, started: 4711 },
  begun: NOW - 5_000,
  runs: 1,
} as const;

/** Where a service may be when something happens. */
const situations: Record<string, Life> = {
  down: newborn,
  ranOnce: { ...newborn, wanted: "once", runs: 1, exit: { code: 0 } },
  pending: { ...newborn, state: "starting", wanted: "up" },
  starting: { ...running, state: "starting", begun: NOW - 250, due: NOW },
  waiting: { ...running, state: "starting", begun: NOW - 250 },
  up: { ...running, state: "up" },
  once: { ...running, state: "up", wanted: "once" },
  stopping: { ...running, state: "stopping", wanted: "down" },
  interrupted: { ...running, state: "stopping", wanted: "down", stopSignal: 2 },
  restarting: { ...running, state: "stopping" },
  again: { ...running, state: "stopping", wanted: "once", again: true },
  leaving: { ...running, state: "stopping", leaving: true },
  left: { ...newborn, wanted: "up", leaving: true },
  backoff: { ...newborn, state: "backoff", wanted: "up", short: 1, due: NOW, exit: { code: 1 } },
  busy: {
    ...newborn,
    state: "backoff",
    wanted: "up",
    short: 1,
    due: NOW,
    reason: "Text file busy",
  },
  failed: { ...newborn, state: "failed", wanted: "up", reason: "not executable" },
};

/** An exit is told with the marker as it is then: here it is as we know it. */
const exit = (life: Life): Event => ({
  type: "exited",
  exit: { code: 3 },
  marker: { wanted: life.wanted, signal: life.stopSignal },
});

const events: Record<string, Event | typeof exit> = {
  "marker up": { type: "marker", marker: { wanted: "up", signal: null } },
  "marker once": { type: "marker", marker: { wanted: "once", signal: null } },
  "marker down": { type: "marker", marker: { wanted: "down", signal: null } },
  "marker INT": { type: "marker", marker: { wanted: "down", signal: 2 } },
  "command up": { type: "command", command: "up" },
  "command down": { type: "command", command: "down" },
  "command once": { type: "command", command: "once" },
  "command restart": { type: "command", command: "restart" },
  "signal HUP": { type: "signal", signal: 1 },
  exit,
  "exit with a marker made meanwhile": {
    type: "exited",
    exit: { code: 3 },
    marker: { wanted: "down", signal: null },
  },
  "exit with the marker gone meanwhile": {
    type: "exited",
    exit: { code: 3 },
    marker: { wanted: "up", signal: null },
  },
  timer: { type: "timer", waiting: false },
  "timer while sysmgr-depends waits": { type: "timer", waiting: true },
  "return of sysmgr-depends": { type: "returned" },
  "look at the entry": { type: "entry", changed: false },
  "change of the entry": { type: "entry", changed: true },
  presence: { type: "present" },
  leave: { type: "leave" },
};

const STOPPING = "stopping interrupted restarting again leaving";
const NO_PROCESS = "down ranOnce pending left backoff busy failed";

/** For each event: what comes of it (a state, then effects), and for whom. */
const table: Record<string, Record<string, string>> = {
  "marker up": {
    "starting, spawn": "down ranOnce",
    stays: `pending starting waiting up once ${STOPPING} left backoff busy failed`,
  },
  "marker once": {
    down: "pending backoff busy failed",
    stays: `down ranOnce starting waiting up once ${STOPPING} left`,
  },
  "marker down": {
    down: "ranOnce pending backoff busy failed",
    "stopping, stop": "starting waiting up once",
    stays: `down ${STOPPING} left`,
  },
  "marker INT": {
    down: "ranOnce pending backoff busy failed",
    "stopping, stop 2": "starting waiting up once stopping restarting again leaving",
    stays: "down interrupted left",
  },
  "command up": {
    "starting, mark gone, spawn": "down ranOnce backoff busy failed",
    "stays, mark gone": `pending starting waiting up once ${STOPPING} left`,
  },
  "command down": {
    "down, mark empty": "down ranOnce pending left backoff busy failed",
    "stopping, mark empty, stop": `starting waiting up once ${STOPPING}`,
  },
  "command once": {
    "starting, mark once, spawn": "down ranOnce backoff busy failed",
    "stays, mark once": `pending starting waiting up once ${STOPPING} left`,
  },
  "command restart": {
    "starting, mark gone, spawn": "down ranOnce backoff busy failed",
    "stopping, mark gone, stop": "starting waiting up once stopping interrupted restarting again",
    "stays, mark gone": "pending leaving left",
  },
  "signal HUP": {
    "stays, signal 1": `starting waiting up once ${STOPPING}`,
    stays: "down ranOnce pending left backoff busy failed",
  },
  exit: {
    backoff: "starting waiting",
    "starting, spawn": "up restarting again",
    down: "once stopping interrupted leaving",
    "cannot come": NO_PROCESS,
  },
  "exit with a marker made meanwhile": {
    down: `starting waiting up once ${STOPPING}`,
    "cannot come": NO_PROCESS,
  },
  "exit with the marker gone meanwhile": {
    backoff: "starting waiting",
    "starting, spawn": "up once stopping interrupted restarting again",
    down: "leaving",
    "cannot come": NO_PROCESS,
  },
  timer: {
    up: "starting",
    "starting, spawn": "backoff busy",
    stays: `down ranOnce pending waiting up once ${STOPPING} left failed`,
  },
  "timer while sysmgr-depends waits": {
    "starting, spawn": "backoff busy",
    stays: `down ranOnce pending starting waiting up once ${STOPPING} left failed`,
  },
  "return of sysmgr-depends": {
    stays: `starting waiting up once ${STOPPING} ${NO_PROCESS}`,
  },
  "look at the entry": {
    "starting, spawn": "failed",
    stays: `down ranOnce pending starting waiting up once ${STOPPING} left backoff busy`,
  },
  "change of the entry": {
    "starting, spawn": "failed busy",
    stays: `down ranOnce pending starting waiting up once ${STOPPING} left backoff`,
  },
  presence: {
    "starting, spawn": "left",
    stays: `down ranOnce pending starting waiting up once ${STOPPING} backoff busy failed`,
  },
  leave: {
    down: "pending backoff busy failed",
    "stopping, stop": "starting waiting up once",
    stays: `down ranOnce ${STOPPING} left`,
  },
};

function word(effect: Effect): string[] {
  if (effect.type === "log") return [];
  if (effect.type === "mark") return [`mark ${effect.content?.trim() ?? "gone"}`.trim()];
  if (effect.type !== "signal" && effect.type !== "stop") return [effect.type];
  return [effect.signal === null ? effect.type : `${effect.type} ${effect.signal}`];
}

/** What an event makes of what is wanted, whatever the situation. */
function wantedAfter(life: Life, event: Event): Life["wanted"] {
  if (event.type === "marker" || event.type === "exited") return event.marker.wanted;
  if (event.type !== "command") return life.wanted;
  return event.command === "restart" ? "up" : event.command;
}

for (const [eventName, given] of Object.entries(events)) {
  const outcomes = Object.entries(table[eventName] ?? {});

  test(`${eventName}: the table tells of every situation, once`, () => {
    const told = outcomes.flatMap(([, names]) => names.split(" "));
    expect(told.sort()).toEqual(Object.keys(situations).sort());
  });

  describe(eventName, () => {
    for (const [outcome, names] of outcomes) {
      if (outcome === "cannot come") continue;
      test.each(names.split(" "))(`%s: ${outcome}`, (situation) => {
        const life = situations[situation] ?? newborn;
        const event = typeof given === "function" ? given(life) : given;
        const [next, effects] = transition(Object.freeze(life), event, NOW);
        const expected = outcome.replace("stays", life.state).replace("mark empty", "mark");
        expect([next.state, ...effects.flatMap(word)].join(", ")).toBe(expected);
        expect(next.wanted).toBe(wantedAfter(life, event));
        expect(next.leaving).toBe(
          event.type === "leave" || (life.leaving && event.type !== "present"),
        );
        expect(next.process).toBe(event.type === "exited" ? null : life.process);
        expect(next.runs).toBe(life.runs);
      });
    }
  });
}
