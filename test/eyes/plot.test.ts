/** Bars since sysmgr's start, from what status files tell. */
import { describe, expect, test } from "bun:test";
import { type Clock, plot } from "../../src/eyes/plot.ts";
import { draw, tick } from "../../src/eyes/plot-svg.ts";
import type { Shown } from "../../src/report.ts";
import type { Status } from "../../src/status.ts";
import { shown } from "../lib/shown.ts";
import { xmlFault } from "../lib/xml.ts";

/** sysmgr was started 60 s ago, at 1,000 s since the epoch and 500 s since boot. */
const clock: Clock = {
  now: 60_000,
  ofWall: (ms) => Math.max(0, ms - 1_000_000),
  ofStart: (started) => Math.max(0, started * 10 - 500_000),
};
const process = (seconds: number) => ({ pid: 812, started: 50_000 + seconds * 100 });
const at = (seconds: number) => 1_000_000 + seconds * 1000;

function bars(all: readonly Shown[]) {
  return plot(all, clock, null).bars;
}

/** "starting 1-3, up 3-60", in seconds; ".. 1-3" is what is not known. */
function spans(status: Partial<Status>, waitingFor: string[] = []): string {
  const [bar] = bars([shown("web", status, waitingFor)]);
  const earlier = bar?.earlier ? [{ kind: "..", ...bar.earlier }] : [];
  return [...earlier, ...(bar?.spans ?? [])]
    .map((s) => `${s.kind} ${s.from / 1000}-${s.to / 1000}`)
    .join(", ");
}

describe("spans", () => {
  const running = { process: process(1), first: at(1) };
  const ended = { process: null, first: at(1), since: at(40) };
  test.each([
    [{ ...running, since: at(3), ready: at(3) }, "starting 1-3, up 3-60"],
    [
      { ...running, since: at(9), ready: at(9), waited: 5_000 },
      "waiting 1-6, starting 6-9, up 9-60",
    ],
    [{ ...running, since: at(1), state: "starting" }, "starting 1-60"],
    [{ ...running, since: at(1), state: "starting", waited: 4_000 }, "waiting 1-5, starting 5-60"],
    // Stopped before it was up, and after it.
    [{ ...running, since: at(50), state: "stopping" }, "starting 1-50, stopping 50-60"],
    [
      { ...running, since: at(50), ready: at(2), state: "stopping" },
      "starting 1-2, up 2-50, stopping 50-60",
    ],
    // Its only life: all of that is known.
    [{ ...ended, state: "backoff" }, "starting 1-40, backoff 40-60"],
    [
      { ...ended, ready: at(4), waited: 1_000, state: "down" },
      "waiting 1-2, starting 2-4, up 4-40, down 40-60",
    ],
    // Others came before it, or before the present one.
    [{ ...ended, runs: 3, state: "backoff" }, ".. 1-40, backoff 40-60"],
    [{ ...ended, runs: 3, ready: at(39), state: "backoff" }, ".. 1-39, up 39-40, backoff 40-60"],
    [
      { process: process(20), first: at(1), since: at(21), ready: at(21), runs: 2 },
      ".. 1-20, starting 20-21, up 21-60",
    ],
    // Nobody knows when it was started first: an older sysmgr was there.
    [{ ...running, first: null, since: at(3) }, "starting 1-3, up 3-60"],
    [{ ...ended, first: null, state: "down" }, ".. 0-40, down 40-60"],
    // It has never run.
    [{ process: null, since: at(40), state: "failed", runs: 0 }, "failed 40-60"],
    // It is older than sysmgr, which has adopted it.
    [{ process: process(-30), first: at(-30), since: at(-20), ready: at(-20) }, "up 0-60"],
    // The clock was set back meanwhile, and forth.
    [{ process: process(5), first: at(5), since: at(2), ready: at(2) }, "up 2-60"],
    [{ ...running, since: at(90), ready: at(90) }, "starting 1-60"],
  ] as [Partial<Status>, string][])("%#: %j", (status, expected) => {
    expect(spans(status)).toBe(expected);
  });

  test("one that waits now is drawn so", () => {
    const now = { process: process(1), first: at(1), since: at(1), state: "starting" } as const;
    expect(spans(now, ["db"])).toBe("waiting 1-60");
  });
});

test("bars stand in the order of the first starts", () => {
  const again = { process: process(20), since: at(21), ready: at(21), runs: 2 };
  const all = [
    shown("late", { process: process(3), first: at(3), since: at(4), ready: at(4) }),
    shown("again", { ...again, first: at(1) }),
    shown("early", { process: process(2), first: at(2), since: at(4), ready: at(4) }),
  ];
  expect(bars(all).map((bar) => bar.name)).toEqual(["again", "early", "late"]);
});

test("notes", () => {
  const all = [
    shown("a", { process: process(1), first: at(1), since: at(1.25) }),
    shown("b", { process: process(8), first: at(4), since: at(9), runs: 3, exit: { signal: 9 } }),
    shown("c", { process: null, state: "failed", since: at(2), runs: 0, reason: "no\x1b" }),
    shown("d", {
      process: null,
      state: "down",
      wanted: "down",
      first: at(3),
      since: at(3),
      exit: { code: 0 },
    }),
    shown("e", { process: process(5), first: at(5), since: at(9), ready: at(9), waited: 3_000 }),
  ];
  expect(bars(all).map((bar) => [bar.name, bar.note])).toEqual([
    ["a", "up after 0.25 s"],
    ["c", "failed, no\\x1b"],
    ["d", "down, exited with 0, stopped"],
    ["b", "up after 1.00 s, 2 restarts, last ended by signal KILL"],
    ["e", "up after 4.00 s (waited 3.00 s)"],
  ]);
});

test("the picture ends after the last change, unless something is under way", () => {
  const settled = shown("a", { process: process(1), since: at(4) });
  const busy = shown("b", { process: null, state: "backoff", since: at(4) });
  expect(plot([settled], clock, null).end).toBeCloseTo(4_600);
  expect(plot([settled, busy], clock, null).end).toBe(60_000);
  expect(plot([settled], clock, 30_000).end).toBe(30_000);
});

describe("picture", () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      shown(`<service>&"${i}`, { process: process(i / 100), since: at(i / 50), runs: 1 + (i % 3) }),
    );

  test.each([0, 1, 5, 200])("of %d services is well-formed", (count) => {
    const svg = draw(plot(many(count), clock, null));
    expect(xmlFault(svg)).toBeNull();
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/&lt;service&gt;&amp;&quot;\d+<\/text>/g)?.length ?? 0).toBe(count);
  });

  test("no two rows share a line, and all are within the picture", () => {
    const svg = draw(plot(many(200), clock, null));
    const [, height] = svg.match(/<svg [^>]*height="(\d+)"/) ?? [];
    const ys = [...svg.matchAll(/<text x="20" y="([\d.]+)">&lt;/g)].map(([, y]) => Number(y));
    expect([ys.length, new Set(ys).size]).toEqual([200, 200]);
    const gaps = ys.slice(1).map((y, i) => y - (ys[i] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(12);
    expect(Math.max(...ys)).toBeLessThan(Number(height));
  });

  test("nothing is drawn beyond its end", () => {
    const svg = draw(plot([shown("a", { process: process(50), since: at(51) })], clock, 10_000));
    expect(svg.match(/class="up"/g)?.length).toBe(1);
  });
});

test.each([100, 999, 5_000, 61_000, 3_600_000, 86_400_000, 30 * 86_400_000, 900 * 86_400_000])(
  "%d ms have about ten lines",
  (end) => {
    expect(end / tick(end)).toBeLessThanOrEqual(10);
    expect(end / tick(end)).toBeGreaterThan(1);
  },
);
