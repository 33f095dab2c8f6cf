/** What may differ between a page and a run of it, and what may not. */
import { expect, test } from "bun:test";
import { agree, normalise } from "../lib/normal.ts";

test.each([
  ["web: UP, pid 812, 3 s", "web: UP, pid 26009, 0.9 s"],
  ["web: UP, pid 812, 3 s", "web:    UP, pid 7, 12 ms"],
  ["run: web: (pid 812) 3s, normally up", "run: web: (pid 9) 21s, normally up"],
  ["up (pid 812) 3 seconds", "up (pid 813) 1 second"],
  ["exited with 1 after 2 h; next start in 4 s", "exited with 1 after 8 min; next start in 0.9 s"],
  ["pid=812", "pid=25904"],
  ["since=1795181287.757", "since=1795181288.001"],
  ["boot=8f276f66-9784-4cf3-b2fe-4f7d18e07017", "boot=00000000-9784-4cf3-b2fe-4f7d18e07017"],
  ['{"pid":812,"start":431679,"boot":"a"}', '{"pid": 1,"start":2,"boot":"b"}'],
  ["2026-11-21 14:03:07.123 web: up", "2027-01-02 04:05:06.000 web: up"],
  ["@400000005f0000001234abcd a", "@400000006100000000000000 a"],
  ["2026-11-21_14:03:07.12345 a", "2026-11-22_14:03:07.54321 a"],
  ["Nov 21 14:03:07 web", "Dec  1 00:00:00 web"],
  ["Sat Nov 21 18:27:32 UTC 2026", "Sun Nov 22 08:00:00 UTC 2026"],
  ["sysmgr: version 0.1.0: took over", "sysmgr: version 1.2.3: took over"],
  ["/tmp/try/run/pid", "/tmp/sysmgr-docs.abc123/run/pid"],
  ["/dev/shm/sysmgr-demo.LsqADu/run", "/tmp/sysmgr-demo.aaaaaa/run"],
])("%s and %s are the same", (one, other) => {
  expect(normalise(one)).toBe(normalise(other));
  expect(agree([one], [other])).toBeTrue();
});

test.each([
  ["web: UP, pid 812, 3 s", "web: DOWN, stopped, 3 s"],
  ["web: UP, pid 812, 3 s", "web: UP, pid 812, 3 s, 2 runs"],
  ["exited with 1 after 2 s", "exited with 2 after 2 s"],
  ["signal TERM", "signal KILL"],
  ["runs=1", "runs=2"],
  ["pid 812", "pid"],
  ["127.0.0.1:80", "127.0.0.2:80"],
  ["/tmp/try/run/pid", "/tmp/try/run/status"],
  ["  indented", "indented"],
  ["a b", "ab"],
])("%s and %s are not", (one, other) => {
  expect(agree([one], [other])).toBeFalse();
});

const lines = (text: string) => (text === "" ? [] : text.split(" "));

test.each([
  ["", "", true],
  ["a", "", false],
  ["", "a", false],
  ["a b", "a", false],
  ["a", "a b", false],
  ["...", "", true],
  ["...", "a b", true],
  ["a ...", "a", true],
  ["a ...", "b", false],
  ["... b", "a b", true],
  ["... b", "b", true],
  ["... b", "b a", false],
  ["a ... c", "a b b c", true],
  ["a ... c", "a", false],
  ["... b ... b", "b", false],
  ["... b ... b", "a b a b", true],
  ["... b ... c", "b a b c", true],
])("expected %s, got %s: %p", (expected, got, isSo) => {
  expect(agree(lines(expected), lines(got))).toBe(isSo);
});

test("empty lines in the end do not count, others do", () => {
  expect(agree(["a", ""], ["a"])).toBeTrue();
  expect(agree(["a"], ["a", "", ""])).toBeTrue();
  expect(agree(["a", "", "b"], ["a", "b"])).toBeFalse();
});
