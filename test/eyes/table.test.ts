/** The table of svctl top: columns, order, filter, and what fits. */
import { describe, expect, test } from "bun:test";
import { plainText } from "../../src/eyes/eye.ts";
import {
  COLUMNS,
  filterRows,
  fit,
  heading,
  layout,
  line,
  type Row,
  SORT_KEYS,
  shortAge,
  shortExit,
  shortSize,
  sortRows,
  summary,
} from "../../src/eyes/table.ts";
import type { Status } from "../../src/status.ts";
import { shown } from "../lib/shown.ts";

function row(name: string, changes: Partial<Status> = {}, more: Partial<Row> = {}): Row {
  return {
    shown: shown(name, changes),
    name: plainText(name),
    age: 65_000,
    cpu: 1.25,
    memory: 2_000_000,
    threads: 2,
    descriptors: () => 9,
    next: null,
    ...more,
  };
}

const down: Partial<Status> = { state: "down", process: null, wanted: "down" };
const names = (rows: readonly Row[]) => rows.map((r) => r.name).join(" ");

test("a row has everything in 80 columns", () => {
  const rows = [row("web", { runs: 4, exit: { signal: 9 } })];
  const wide = layout(rows, 80);
  expect(heading(wide, 80)).toBe(
    "NAME     STATE         PID  AGE RSTRT  CPU%   MEM  THR  FDS   EXIT WAITING FOR",
  );
  const text = rows.map((r) => line(r, wide, 80).trimEnd());
  expect(text).toEqual(["web      up            812   1m     3   1.3  1.9M    2    9   KILL"]);
});

test("what does not run has no numbers", () => {
  const idle = row("web", down, {
    cpu: null,
    memory: null,
    threads: null,
    descriptors: () => null,
  });
  expect(line(idle, layout([idle], 80), 80).trimEnd()).toBe(
    "web      down                1m     0",
  );
});

test.each([1, 5, 20, 40, 60, 79, 80, 200])("nothing is wider than %d columns", (width) => {
  const rows = [
    row("web"),
    row("日本語".repeat(20), { reason: "x".repeat(300) }),
    row("x".repeat(90)),
  ].map((r) => ({ ...r, name: Buffer.from(r.name, "latin1").toString("latin1") }));
  const wide = layout(rows, width);
  for (const text of [heading(wide, width), ...rows.map((r) => line(r, wide, width))]) {
    expect(Bun.stringWidth(text)).toBeLessThanOrEqual(width);
  }
});

describe("sorted", () => {
  const a = row("a", { process: { pid: 30, started: 1 }, runs: 9 }, { cpu: 3, age: 9_000 });
  const b = row("b", { state: "failed", process: null, reason: "no" }, { cpu: null, age: 1_000 });
  const c = row(
    "c",
    { process: { pid: 4, started: 1 }, exit: { code: 1 } },
    { cpu: 70, age: 5_000 },
  );
  test.each([
    ["name", "a b c"],
    ["cpu", "c a b"],
    ["pid", "c a b"],
    ["state", "b a c"],
    ["restarts", "a b c"],
    ["age", "b c a"],
    ["exit", "c a b"],
  ] as const)("by %s", (key, expected) => {
    expect(names(sortRows([b, c, a], key, false))).toBe(expected);
  });

  test("by anything: all are there, and reversed is the same backwards but for equals", () => {
    for (const key of SORT_KEYS) {
      expect(
        names(sortRows([b, c, a], key, true))
          .split(" ")
          .sort()
          .join(" "),
      ).toBe("a b c");
    }
    expect(names(sortRows([b, c, a], "name", true))).toBe("c b a");
  });
});

test("filtered by words in name or state, in any case", () => {
  const rows = [row("web-1"), row("web-2", down), row("db")];
  expect(names(filterRows(rows, ""))).toBe("web-1 web-2 db");
  expect(names(filterRows(rows, " WEB  down "))).toBe("web-2");
  expect(names(filterRows(rows, "up"))).toBe("web-1 db");
  expect(names(filterRows(rows, "nothing"))).toBe("");
});

test("the summary counts what is to be counted", () => {
  const rows = [row("a"), row("b", down), row("c", { state: "failed", process: null })];
  expect(summary(rows)).toBe("3 services, 1 up, 1 failed");
  expect(summary([row("a")])).toBe("1 service, 1 up");
});

test("the last column says what keeps it", () => {
  const texts = [
    { ...row("a"), shown: shown("a", { state: "starting" }, ["db", "x\x1b"]) },
    row("b", { state: "failed", process: null, reason: "no \x9b31m" }),
    row("c", { state: "backoff", process: null }, { next: 3_400 }),
  ].map((r) =>
    line(r, layout([r], 132), 132)
      .slice(67)
      .trim(),
  );
  expect(texts).toEqual(["db x\\x1b", "no \\x9b31m", "start in 3s"]);
});

test.each([
  [0, "0s"],
  [59_999, "59s"],
  [60_000, "1m"],
  [3_599_000, "59m"],
  [3_600_000, "1h"],
  [172_799_000, "47h"],
  [172_800_000, "2d"],
])("%d ms is %s old", (ms, text) => expect(shortAge(ms)).toBe(text));

test.each([
  [0, "0K"],
  [1023, "1K"],
  [980 * 1024, "980K"],
  [1024 * 1024, "1.0M"],
  [99 * 1024 ** 2, "99.0M"],
  [512 * 1024 ** 2, "512M"],
  [3 * 1024 ** 3, "3.0G"],
  [2 * 1024 ** 4, "2.0T"],
])("%d bytes are %s", (bytes, text) => {
  expect(shortSize(bytes)).toBe(text);
  expect(shortSize(bytes).length).toBeLessThanOrEqual(COLUMNS.memory.width);
});

test("how a life ended", () => {
  expect([null, { code: 0 }, { signal: 15 }, { unknown: true } as const].map(shortExit)).toEqual([
    "",
    "0",
    "TERM",
    "?",
  ]);
});

test("fit cuts by columns, not by characters", () => {
  expect(fit("abcdef", 6)).toBe("abcdef");
  expect(fit("abcdefg", 6)).toBe("abcde~");
  expect(fit("日本語", 5)).toBe("日本~");
  expect(fit("abc", 0)).toBe("");
});

describe("text for a terminal", () => {
  test.each([
    ["web", "web"],
    ["a\x1b[31m", "a\\x1b[31m"],
    ["back\\slash", "back\\x5cslash"],
    ["\xc3\xa9t\xc3\xa9", "été"],
    ["\xff\xe9", "\\xff\\xe9"],
    ["\x9b31m", "\\x9b31m"],
    ["\xc2\x9b31m", "\\xc2\\x9b31m"],
    ["\xe2\x80\xaeabc", "\\xe2\\x80\\xaeabc"],
    ["\xd8\x9cabc", "\\xd8\\x9cabc"],
    ["\xef\xbf\xbf", "\\xef\\xbf\\xbf"],
  ])("%j", (bytes, text) => expect(plainText(bytes)).toBe(text));
});
