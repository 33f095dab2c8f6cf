/** What stands beside `run`: text to settings. */
import { describe, expect, test } from "bun:test";
import { groupId } from "../src/group.ts";
import { PLAIN, parseSettings, type Settings } from "../src/settings.ts";

/** The settings that files with this content make, and what is complained of. */
function parsed(files: Record<string, string>, programs: string[] = []): [Settings, string[]] {
  const problems: string[] = [];
  const settings = parseSettings(
    (file) => files[file] ?? null,
    (file) => programs.includes(file),
    (problem) => problems.push(problem),
  );
  return [settings, problems];
}

test("an empty directory has those of a file", () => {
  expect(parsed({})).toEqual([PLAIN, []]);
});

test("what cannot be read is told, not taken for absent; the first of several", () => {
  const settings = parseSettings(
    (file) => (file === "restart" ? "never" : file < "f" ? { reason: file, passing: true } : null),
    () => false,
    () => {},
  );
  expect(settings.unread).toEqual({ reason: "down", passing: true });
  expect([settings.restart?.text, settings.down]).toEqual(["never", false]);
});

describe("a file with one value", () => {
  const rows: [string, string, Partial<Settings>][] = [
    ["restart", "on-failure\n", { restart: { text: "on-failure", unless: [0] } }],
    ["restart", " never ", { restart: { text: "never", unless: "any" } }],
    ["restart", "always", { restart: { text: "always", unless: [] } }],
    ["restart", "unless 33", { restart: { text: "unless 33", unless: [33] } }],
    [
      "restart",
      "unless 0  2\t255\n",
      { restart: { text: "unless 0  2\t255", unless: [0, 2, 255] } },
    ],
    ["restart-delay", "2", { delay: { wait: 2_000, below: Number.POSITIVE_INFINITY } }],
    ["restart-delay", "0.25 \t 10\n", { delay: { wait: 250, below: 10_000 } }],
    ["stop-signal", "int", { stopSignal: 2 }],
    ["stop-signal", "SIGKILL", { stopSignal: 9 }],
    ["stop-signal", "34", { stopSignal: 34 }],
    ["stop-timeout", "0", { stopTimeout: 0 }],
    ["stop-timeout", "1.5", { stopTimeout: 1_500 }],
    ["notification-fd", "3\n", { notificationFd: 3 }],
    ["down", "", { down: true }],
    ["control-group", "www-data\n", { controlGroup: "www-data" }],
  ];
  test.each(rows)("%s: %j", (file, text, expected) => {
    expect(parsed({ [file]: text })).toEqual([{ ...PLAIN, ...expected }, []]);
  });

  const wrong: [string, string][] = [
    ["restart", ""],
    ["restart", "unless"],
    ["restart", "unless 256"],
    ["restart", "unless 1 x"],
    ["restart", "unless -1"],
    ["restart", "always 1"],
    ["restart", "Always"],
    ["restart-delay", "-1"],
    ["restart-delay", "1 2 3"],
    ["restart-delay", "1e3"],
    ["restart-delay", "0x10"],
    ["stop-signal", "0"],
    ["stop-signal", "65"],
    ["stop-timeout", "Infinity"],
    ["stop-timeout", "999999999"],
    ["notification-fd", "2"],
    ["notification-fd", "1024"],
    ["notification-fd", "3\n4"],
    ["control-group", "a b"],
    ["control-group", "../x"],
  ];
  test.each(wrong)("%s: %j is not understood, and counts as not there", (file, text) => {
    const [settings, problems] = parsed({ [file]: text });
    expect(settings).toEqual(PLAIN);
    expect(problems).toEqual([`${file}: not understood: ${text.trim()}`]);
  });
});

test("programs are those that can be run", () => {
  const [settings] = parsed({ finish: "", check: "" }, ["check"]);
  expect(settings).toEqual({ ...PLAIN, check: true });
});

test("a group is known by its name or its number", () => {
  expect(groupId("root")).toBe(0);
  expect(groupId("4711")).toBe(4711);
  expect(groupId("no-such-group")).toBeNull();
});
