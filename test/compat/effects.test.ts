/** The words of a status, and when a command has taken effect. */
import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { describe, isReached } from "../../src/compat/effects.ts";
import { ageOf } from "../../src/proc.ts";
import type { Status } from "../../src/status.ts";
import { makeDirectory } from "../lib/files.ts";
import { readStat } from "../lib/processes.ts";
import { until } from "../lib/until.ts";
import { scratchDirectory } from "../unit/scratch.ts";
import { status } from "./status.ts";

const dir = scratchDirectory();
makeDirectory(`${dir}/web`);
makeDirectory(`${dir}/spare`);
writeFileSync(`${dir}/spare/down`, "");
const web = { path: `${dir}/web`, label: "web" };
const spare = { path: `${dir}/spare`, label: "spare" };

/** Five seconds and a half ago: a test may take its time. */
const process = { pid: globalThis.process.pid, started: Math.floor(ageOf(0) / 10) - 550 };
const since = Date.now() - 5_500;
const running = (changes: Partial<Status> = {}) =>
  status({ state: "up", wanted: "up", process, runs: 1, since: 0, ...changes });
const told = (service: typeof web, now: Status) =>
  describe(service, service.label, now)
    .replace(/\(pid \d+\)/, "(pid N)")
    .replace(/\b([5-9]|\d\d)s/, "5s");

test("a line about each state", () => {
  expect(told(web, running())).toBe("run: web: (pid N) 5s");
  expect(told(web, running({ state: "starting" }))).toBe("run: web: (pid N) 5s");
  expect(told(spare, running())).toBe("run: spare: (pid N) 5s, normally down");
  expect(told(web, running({ wanted: "once" }))).toBe("run: web: (pid N) 5s, want down");
  expect(told(web, running({ state: "stopping", wanted: "down" }))).toBe(
    "run: web: (pid N) 5s, want down, got TERM",
  );
  expect(told(web, running({ state: "stopping" }))).toBe("run: web: (pid N) 5s, got TERM");
  expect(told(web, status({ since }))).toBe("down: web: 5s, normally up");
  expect(told(spare, status({ since }))).toBe("down: spare: 5s");
  for (const state of ["backoff", "failed", "starting"] as const) {
    expect(told(web, status({ state, wanted: "up", since }))).toBe(
      "down: web: 5s, normally up, want up",
    );
  }
  const finishing = status({ state: "finishing", finish: process, since });
  expect(told(web, finishing)).toBe("finish: web: (pid N) 5s, want down");
  expect(told(web, { ...finishing, wanted: "up" })).toBe("finish: web: (pid N) 5s");
});

test("a clock that was set back makes no age negative", () => {
  expect(told(web, status({ since: Date.now() + 60_000 }))).toBe("down: web: 0s, normally up");
});

const sleeper = Bun.spawn(["sleep", "3600"]);
afterAll(() => sleeper.kill("SIGKILL"));

test("a process that is stopped is paused, until it goes on", async () => {
  const is = (state: string) => until(() => readStat(sleeper.pid)?.state === state, state);
  const now = running({ process: { ...process, pid: sleeper.pid } });
  sleeper.kill("SIGSTOP");
  await is("T");
  expect(told(web, now)).toBe("run: web: (pid N) 5s, paused");
  expect([isReached("p", web, now, now), isReached("c", web, now, now)]).toEqual([true, false]);
  sleeper.kill("SIGCONT");
  await is("S");
  expect(told(web, now)).toBe("run: web: (pid N) 5s");
  expect([isReached("p", web, now, now), isReached("c", web, now, now)]).toEqual([false, true]);
});

const before = running();
const down = status({ runs: 1 });
const stopping = running({ state: "stopping", wanted: "down" });
const next = running({ runs: 2 });
const finishing = status({ state: "finishing", finish: process, runs: 1 });

test.each([
  ["u", { before, next }, { down, stopping, finishing }],
  ["d", { down }, { before, stopping, finishing }],
  ["C", { before, down, stopping, finishing }, {}],
  ["t", { down, next }, { before, stopping, finishing }],
  ["k", { down, next }, { before, stopping, finishing }],
  [
    "o",
    { once: running({ wanted: "once" }), ended: status({ runs: 2 }), stopping },
    { before, down },
  ],
  ["p", { down }, { before, finishing }],
  ["h", { before, down, finishing }, {}],
])("%s has taken effect, or not yet", (letter, yes, no) => {
  const settled = (states: Record<string, Status>) =>
    Object.entries(states).map(([name, now]) => [name, isReached(letter, web, before, now)]);
  expect(settled(yes)).toEqual(Object.keys(yes).map((name) => [name, true]));
  expect(settled(no)).toEqual(Object.keys(no).map((name) => [name, false]));
});

test("a check decides whether what runs is up", () => {
  const checked = { path: `${dir}/checked`, label: "checked" };
  makeDirectory(checked.path);
  const says = (code: number) => {
    writeFileSync(`${checked.path}/check`, `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 });
    return [..."uCth"].map((letter) => isReached(letter, checked, before, next));
  };
  expect(says(0)).toEqual([true, true, true, true]);
  expect(says(1)).toEqual([false, false, false, true]);
  expect(isReached("C", checked, before, down)).toBe(true);
});
