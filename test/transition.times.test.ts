/** The transition function's clocks, counters and words. */
import { describe, expect, test } from "bun:test";
import { SETTLE, SETTLE_DEPENDS, SETTLE_RETURNED } from "../config.ts";
import { PLAIN } from "../src/settings.ts";
import type { Exit } from "../src/status.ts";
import {
  type Effect,
  type Event,
  formatAge,
  type Life,
  newborn,
  stopSignals,
  transition,
} from "../src/transition.ts";

const NOW = 1_000_000;
const child = { pid: 812, started: 4711 };
const up: Life = {
  ...newborn,
  state: "up",
  wanted: "up",
  process: child,
  begun: NOW,
  runs: 1,
};
const pending: Life = { ...newborn, state: "starting", wanted: "up" };
const spawned = { type: "spawned", process: child, chained: false, settings: PLAIN } as const;
const asBefore = (life: Life) => ({ wanted: life.wanted, signal: life.stopSignal });
const exit = (life: Life, exit: Exit): Event => ({ type: "exited", exit, marker: asBefore(life) });
const bell: Event = { type: "timer", waiting: false };

function after(life: Life, event: Event, now = NOW): Life {
  return transition(life, event, now)[0];
}

/** The one message of a transition: its level, then its text. */
function said(life: Life, event: Event, now = NOW): string {
  const isLog = (e: Effect) => e.type === "log";
  const [first, ...more] = transition(life, event, now)[1].filter(isLog);
  expect(more).toEqual([]);
  return first ? `${first.level}: ${first.text}` : "";
}

/** Lives that last so long, one after the other: how long the wait before the next start is. */
function waits(uptimes: readonly number[]): (number | null)[] {
  let [life, now] = [pending, NOW];
  return uptimes.map((uptime) => {
    life = after(life, spawned, now);
    now += uptime;
    life = after(life, exit(life, { code: 1 }), now);
    const wait = life.due === null ? null : life.due - now;
    now = life.due ?? now;
    if (life.state === "backoff") life = after(life, bell, now);
    expect(life.state).toBe("starting");
    return wait;
  });
}

describe("the wait after short lives", () => {
  test("grows to 30 s and no further", () => {
    expect(waits(Array(8).fill(0))).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
    ]);
  });

  test("is none after a life of MIN_UPTIME, and begins anew after it", () => {
    expect(waits([999, 999, 1_000, 999])).toEqual([1_000, 2_000, null, 1_000]);
  });

  test("is given up by up, restart, once and a stop", () => {
    const worn: Life = { ...up, state: "backoff", process: null, short: 5, due: NOW + 16_000 };
    for (const command of ["up", "restart", "once", "down"] as const) {
      const asked = after(worn, { type: "command", command });
      expect([command, asked.short, asked.due]).toEqual([command, 0, null]);
    }
  });

  test("is not made longer by a restart that was asked for", () => {
    const worn: Life = { ...up, short: 3 };
    const stopping = after(worn, { type: "command", command: "restart" });
    const next = after(stopping, exit(stopping, { code: 1 }), NOW + 1);
    expect([next.state, next.due, next.short]).toEqual(["starting", null, 0]);
  });

  test("does not end before its time", () => {
    const waiting: Life = { ...up, state: "backoff", process: null, short: 1, due: NOW + 1_000 };
    expect(transition(waiting, bell, NOW + 999)).toEqual([waiting, []]);
    expect(after(waiting, bell, NOW + 1_000).state).toBe("starting");
  });
});

describe("becoming up", () => {
  test("takes SETTLE, and longer for one that had called sysmgr-depends", () => {
    expect(after(pending, spawned).due).toBe(NOW + SETTLE);
    expect(after(pending, { ...spawned, chained: true }).due).toBe(NOW + SETTLE_DEPENDS);
  });

  test("does not come before its time", () => {
    const starting = after(pending, spawned);
    expect(transition(starting, bell, NOW + SETTLE - 1)).toEqual([starting, []]);
  });

  test("waits for sysmgr-depends however long it takes", () => {
    const waiting = after(after(pending, spawned), { type: "timer", waiting: true }, NOW + SETTLE);
    expect([waiting.state, waiting.due]).toEqual(["starting", null]);
    const returned = after(waiting, { type: "returned" }, NOW + 90_000);
    expect(returned.due).toBe(NOW + 90_000 + SETTLE_RETURNED);
    expect(after(returned, bell, NOW + 90_000 + SETTLE_RETURNED).state).toBe("up");
  });

  test("does not happen to one that is being stopped", () => {
    const stopping = after(after(pending, spawned), { type: "command", command: "down" });
    expect(stopping.due).toBeNull();
    expect(after(stopping, bell, NOW + SETTLE).state).toBe("stopping");
  });
});

describe("a spawn", () => {
  test("that succeeds counts as a run and forgets why the last one failed", () => {
    const life = after({ ...pending, runs: 4, reason: "not executable" }, spawned, NOW + 7);
    expect(life).toMatchObject({ process: child, begun: NOW + 7, runs: 5, reason: null });
  });

  test("that fails for good waits for a change of the entry, with its reason", () => {
    const event: Event = { type: "unspawned", reason: "not executable", passing: false };
    const life = after(pending, event);
    expect(life).toMatchObject({
      state: "failed",
      due: null,
      runs: 0,
      short: 0,
      reason: event.reason,
    });
  });

  test("that fails for now is tried again every second: it is not the service's fault", () => {
    const busy: Event = { type: "unspawned", reason: "Text file busy", passing: true };
    const first = after(pending, busy);
    expect(first).toMatchObject({ state: "backoff", due: NOW + 1_000, runs: 0 });
    const again = after(after(first, bell, NOW + 1_000), busy, NOW + 1_000);
    expect(again).toMatchObject({ state: "backoff", due: NOW + 2_000, short: 0 });
  });

  test("that fails for the same reason again is no news", () => {
    const event: Event = { type: "unspawned", reason: "not executable", passing: false };
    expect(said(pending, event)).toBe("error: cannot start: not executable");
    const retried = after(after(pending, event), { type: "entry", changed: false });
    expect(said(retried, event)).toBe("debug: cannot start: not executable");
    const changed = after(after(pending, event), { type: "entry", changed: true });
    expect(said(changed, event)).toBe("error: cannot start: not executable");
  });
});

describe("what is over is forgotten", () => {
  test("by a stop: why it could not start, and how often it had failed", () => {
    const failed: Life = { ...pending, state: "failed", reason: "not executable", short: 3 };
    const down: Event = { type: "marker", marker: { wanted: "down", signal: null } };
    expect(after(failed, down).reason).toBeNull();
    const once: Life = { ...up, wanted: "once", short: 3 };
    expect(after(once, exit(once, { code: 0 }))).toMatchObject({ state: "down", short: 0 });
  });

  test("by a change of the entry", () => {
    const failed: Life = { ...pending, state: "failed", reason: "not executable", short: 3 };
    const changed = after(failed, { type: "entry", changed: true });
    expect(changed).toMatchObject({ state: "starting", reason: null, short: 0 });
  });

  test("by a command: the signal that the stop marker named, so that it can be named again", () => {
    const stopping: Life = { ...up, state: "stopping", wanted: "down", stopSignal: 2 };
    for (const command of ["down", "up", "once", "restart"] as const) {
      expect(after(stopping, { type: "command", command }).stopSignal).toBeNull();
    }
  });
});

test("who is being stopped cannot be paused, but takes any other signal", () => {
  const stopping: Life = { ...up, state: "stopping", wanted: "down" };
  const effects = (life: Life, signal: number) =>
    transition(life, { type: "signal", signal }, NOW)[1];
  expect(effects(stopping, 19)).toEqual([]);
  expect(effects(stopping, 9)).toEqual([{ type: "signal", signal: 9 }]);
  expect(effects(up, 19)).toEqual([{ type: "signal", signal: 19 }]);
});

describe("an exit is told with its cause, the age, and what follows", () => {
  const starting: Life = { ...up, state: "starting", due: NOW + SETTLE };
  const rows: [Life, Exit, number, string][] = [
    [starting, { code: 1 }, 20, "info: exited with 1 after 20 ms; next start in 1 s"],
    [up, { code: 1 }, 3_000, "info: exited with 1 after 3 s; restarting"],
    [{ ...up, state: "stopping" }, { code: 1 }, 5, "info: exited with 1 after 5 ms; restarting"],
    [{ ...up, wanted: "once" }, { code: 1 }, 5, "info: exited with 1 after 5 ms; down"],
    [
      { ...up, state: "stopping", wanted: "down" },
      { signal: 15 },
      7_200_000,
      "info: ended by signal TERM after 2 h; down",
    ],
    [up, { unknown: true }, 1_500, "info: ended (exit status unknown) after 1.5 s; restarting"],
  ];
  test.each(rows)("%j %j after %i ms: %s", (life, how, uptime, text) => {
    expect(said(life, exit(life, how), NOW + uptime)).toBe(text);
  });

  test("and kept for the status", () => {
    expect(after(up, exit(up, { signal: 9 })).exit).toEqual({ signal: 9 });
  });
});

test("a start is told with its pid, becoming up only to who asks for everything", () => {
  expect(said(pending, spawned)).toBe("info: started, pid 812");
  expect(said(after(pending, spawned), bell, NOW + SETTLE)).toBe("debug: up");
});

test("a stopped process can take the signal that stops it: CONT follows", () => {
  expect(stopSignals(null)).toEqual([15, 18]);
  expect(stopSignals(2)).toEqual([2, 18]);
});

test.each([
  [0, "0 ms"],
  [99, "99 ms"],
  [100, "0.1 s"],
  [300, "0.3 s"],
  [2_000, "2 s"],
  [9_940, "9.9 s"],
  [9_960, "10 s"],
  [599_000, "599 s"],
  [300_000, "300 s"],
  [600_000, "10 min"],
  [7_199_000, "120 min"],
  [7_200_000, "2 h"],
  [172_799_000, "48 h"],
  [172_800_000, "2 d"],
])("an age of %i ms is %s", (ms, text) => {
  expect(formatAge(ms)).toBe(text);
});
