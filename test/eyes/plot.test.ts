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

function bars(all: readonly Shown[], depends: Record<string, string[]> = {}) {
  return plot(all, new Map(Object.entries(depends)), clock, null).bars;
}

/** "starting 1-3, up 3-60", in seconds. */
function spans(status: Partial<Status>): string {
  const [bar] = bars([shown("web", status)]);
  return (bar?.spans ?? []).map((s) => `${s.kind} ${s.from / 1000}-${s.to / 1000}`).join(", ");
}

describe("spans", () => {
  test.each([
    [{ process: process(1), since: at(3) }, "starting 1-3, up 3-60"],
    [{ process: process(1), since: at(1), state: "starting" }, "starting 1-60"],
    [{ process: process(1), since: at(50), state: "stopping" }, "up 1-50, stopping 50-60"],
    [{ process: null, since: at(40), state: "backoff" }, "backoff 40-60"],
    [{ process: null, since: at(40), state: "down" }, "down 40-60"],
    // It is older than sysmgr, which has adopted it.
    [{ process: process(-30), since: at(-20) }, "up 0-60"],
    // The clock was set back meanwhile.
    [{ process: process(5), since: at(2) }, "up 2-60"],
  ] as [Partial<Status>, string][])("%#", (status, expected) => {
    expect(spans(status)).toBe(expected);
  });
});

test("it waits until the last of what it needs is up, then it starts", () => {
  const all = [
    shown("web", { process: process(1), since: at(9) }),
    shown("db", { process: process(1), since: at(6) }),
    shown("disk", { process: process(1), since: at(2) }),
    shown("again", { process: process(20), since: at(30) }),
  ];
  const web = bars(all, { web: ["db", "disk", "again"] }).find((bar) => bar.name === "web");
  expect(web?.spans.map((s) => [s.kind, s.from, s.to])).toEqual([
    ["waiting", 1_000, 6_000],
    ["starting", 6_000, 9_000],
    ["up", 9_000, 60_000],
  ]);
});

test("one that waits now is drawn so", () => {
  const all = [
    shown("web", { process: process(1), since: at(1), state: "starting" }, ["db"]),
    shown("db", { process: process(1), since: at(1), state: "starting" }),
  ];
  const web = bars(all, { web: ["db"] }).find((bar) => bar.name === "web");
  expect(web?.spans.map((s) => [s.kind, s.from, s.to])).toEqual([["waiting", 1_000, 60_000]]);
});

test("notes, and earlier lives", () => {
  const all = [
    shown("a", { process: process(1), since: at(1.25) }),
    shown("b", { process: process(8), since: at(9), runs: 3, exit: { signal: 9 } }),
    shown("c", { process: null, state: "failed", since: at(2), runs: 0, reason: "no\x1b" }),
    shown("d", { process: null, state: "down", wanted: "down", since: at(3), exit: { code: 0 } }),
  ];
  expect(bars(all).map((bar) => [bar.name, bar.earlier, bar.note])).toEqual([
    ["a", null, "up after 0.25 s"],
    ["c", null, "failed, no\\x1b"],
    ["d", 3_000, "down, exited with 0, stopped"],
    ["b", 8_000, "up after 1.00 s, 2 restarts, last ended by signal KILL"],
  ]);
});

test("the picture ends after the last change, unless something is under way", () => {
  const settled = shown("a", { process: process(1), since: at(4) });
  const busy = shown("b", { process: null, state: "backoff", since: at(4) });
  expect(plot([settled], new Map(), clock, null).end).toBeCloseTo(4_600);
  expect(plot([settled, busy], new Map(), clock, null).end).toBe(60_000);
  expect(plot([settled], new Map(), clock, 30_000).end).toBe(30_000);
});

describe("picture", () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      shown(`<service>&"${i}`, { process: process(i / 100), since: at(i / 50), runs: 1 + (i % 3) }),
    );

  test.each([0, 1, 5, 200])("of %d services is well-formed", (count) => {
    const svg = draw(plot(many(count), new Map(), clock, null));
    expect(xmlFault(svg)).toBeNull();
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/&lt;service&gt;&amp;&quot;\d+<\/text>/g)?.length ?? 0).toBe(count);
  });

  test("no two rows share a line, and all are within the picture", () => {
    const svg = draw(plot(many(200), new Map(), clock, null));
    const [, height] = svg.match(/<svg [^>]*height="(\d+)"/) ?? [];
    const ys = [...svg.matchAll(/<text x="20" y="([\d.]+)">&lt;/g)].map(([, y]) => Number(y));
    expect([ys.length, new Set(ys).size]).toEqual([200, 200]);
    const gaps = ys.slice(1).map((y, i) => y - (ys[i] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(12);
    expect(Math.max(...ys)).toBeLessThan(Number(height));
  });

  test("nothing is drawn beyond its end", () => {
    const svg = draw(
      plot([shown("a", { process: process(50), since: at(51) })], new Map(), clock, 10_000),
    );
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
