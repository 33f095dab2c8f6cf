/** When what happened to a service: the times in its status, after each change of its life. */
import { describe, expect, test } from "bun:test";
import { PLAIN } from "../src/settings.ts";
import { type Times, timesAfter, timesOf } from "../src/times.ts";
import { type Event, type Life, newborn, transition } from "../src/transition.ts";
import { PLAIN_STATUS } from "./lib/shown.ts";

const never: Times = { since: 1, first: null, ready: null, waited: 0 };
const wanted: Event = { type: "marker", marker: { wanted: "up", signal: null } };
const ended: Event = {
  type: "exited",
  exit: { code: 1 },
  marker: { wanted: "up", signal: null },
};

function spawned(pid: number): Event {
  return { type: "spawned", process: { pid, started: pid }, chained: false, settings: PLAIN };
}

/** What the times are after each event; an event comes a second after the last one. */
function history(events: readonly Event[], times = never, life: Life = newborn): Times[] {
  return events.map((event, i) => {
    const now = (i + 1) * 1000;
    const [next] = transition(life, event, now);
    times = timesAfter(times, life, next, now);
    life = next;
    return times;
  });
}

const bell: Event = { type: "timer", waiting: false };

describe("the times of a service", () => {
  test("begin with its first start, and say when it was up", () => {
    expect(history([wanted, spawned(2), bell])).toEqual([
      { since: 1_000, first: null, ready: null, waited: 0 },
      // The state is `starting` since the start was wanted.
      { since: 1_000, first: 2_000, ready: null, waited: 0 },
      { since: 3_000, first: 2_000, ready: 3_000, waited: 0 },
    ]);
  });

  test("tell of the last life until the next one has begun", () => {
    const [, , , backoff, again, next] = history(
      [wanted, spawned(2), bell, ended, bell, spawned(3)].map((e) =>
        e.type === "exited" ? { ...e, exit: { code: 1 } } : e,
      ),
    );
    expect(backoff).toMatchObject({ first: 2_000, ready: 3_000 });
    expect(again).toMatchObject({ first: 2_000, ready: 3_000 });
    expect(next).toEqual({ since: again?.since ?? 0, first: 2_000, ready: null, waited: 0 });
  });

  test("forget how long the last life has waited when the next one begins", () => {
    const worn: Times = { since: 1, first: 5, ready: 9, waited: 700 };
    const [starting, running] = history([wanted, spawned(2)], worn);
    expect([starting?.waited, running?.waited, running?.ready]).toEqual([700, 0, null]);
  });

  test("do not change with what changes no state", () => {
    const [, , up, same] = history([wanted, spawned(2), bell, { type: "signal", signal: 1 }]);
    expect(same).toEqual(up as Times);
  });

  test("never invent a first start where one was missed", () => {
    const life: Life = { ...newborn, runs: 4 };
    const [, running] = history([wanted, spawned(2)], never, life);
    expect(running?.first).toBeNull();
  });

  test("are kept as a status has them", () => {
    const times = { since: 4, first: 1, ready: 3, waited: 2 };
    expect(timesOf({ ...PLAIN_STATUS, ...times })).toEqual(times);
  });
});
