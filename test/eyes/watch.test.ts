/** Events: what svctl watch makes of two looks. */
import { expect, test } from "bun:test";
import { changes, jsonLine, textLine } from "../../src/eyes/watch.ts";
import type { Status } from "../../src/status.ts";
import { shown } from "../lib/shown.ts";

const NOW = 1_000_000;
const idle: Partial<Status> = { state: "down", process: null, wanted: "down" };

test.each([
  ["nothing", {}, {}, []],
  ["a start", idle, { state: "starting", runs: 2 }, ["starting, pid 812, 2 runs"]],
  ["it is up", { state: "starting" }, {}, ["up, pid 812"]],
  ["a stop", {}, { state: "stopping" }, ["stopping, pid 812"]],
  ["its end", { state: "stopping" }, { ...idle, exit: { code: 0 } }, ["down, exited with 0"]],
  [
    "a crash",
    {},
    { state: "backoff", process: null, exit: { signal: 9 }, next: NOW + 2_000 },
    ["backoff, ended by signal KILL, next start in 2 s"],
  ],
  [
    "no way",
    idle,
    { state: "failed", process: null, reason: "not\nhere" },
    ["failed, cannot start: not\\x0ahere"],
  ],
  ["a life that was missed", {}, { runs: 3 }, ["up, pid 812, 3 runs"]],
  ["another process", {}, { process: { pid: 9, started: 1 } }, ["up, pid 9"]],
  ["a marker", {}, { wanted: "once" }, ["wanted once"]],
] as [string, Partial<Status>, Partial<Status>, string[]][])("%s", (_, before, after, texts) => {
  const events = changes([shown("web", before)], [shown("web", after)], NOW);
  expect(events.map((e) => e.text)).toEqual(texts);
});

test("one that waits already when it is first seen is told of twice", () => {
  const events = changes([], [shown("web", { state: "starting" }, ["db"])], NOW);
  expect(events.map((e) => [e.kind, e.text])).toEqual([
    ["new", "starting, pid 812"],
    ["waiting", "waiting for db"],
  ]);
});

test("new, removed, and waiting", () => {
  const waits = shown("web", { state: "starting" }, ["db", "x\x1b"]);
  const before = [shown("old"), shown("web", { state: "starting" })];
  const events = changes(before, [shown("fresh"), waits], NOW);
  expect(events.map((e) => [e.kind, e.shown?.name, e.text])).toEqual([
    ["removed", "old", "removed"],
    ["new", "fresh", "up, pid 812"],
    ["waiting", "web", "waiting for db x\\x1b"],
  ]);
  const after = changes([waits], [shown("web", { state: "starting" })], NOW);
  expect(after.map((e) => e.text)).toEqual(["waits no more"]);
});

test("lines of text and of JSON, whatever the name is", () => {
  const [event] = changes([], [shown("w\x1b\xc3\xa9")], NOW);
  if (!event) throw new Error("no event");
  expect(textLine(event, NOW)).toMatch(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} w\\x1b\xc3\xa9: up, pid 812\n$/,
  );
  const object = JSON.parse(Buffer.from(jsonLine(event, NOW), "latin1").toString("utf8"));
  expect(object).toMatchObject({ time: 1000, event: "new", name: "w\\x1bé", pid: 812, up: true });
  const gone = { kind: "sysmgr", shown: null, text: "ended" } as const;
  expect(textLine(gone, NOW)).toEndWith(" sysmgr: ended\n");
  expect(JSON.parse(jsonLine(gone, NOW))).toMatchObject({ name: null, event: "sysmgr" });
});
