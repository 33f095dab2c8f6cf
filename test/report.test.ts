/** How a service's status is shown to people and to programs. */
import { describe, expect, test } from "bun:test";
import { isUp, type Shown, statusLine, statusObject } from "../src/report.ts";
import { BLANK, type Status } from "../src/status.ts";

const NOW = 1_700_000_000_000;
/** The machine has been up for 1,000 s: a process that was started at 900 s is 100 s old. */
const moment = { now: NOW, uptime: 1_000_000 };
const plain = { width: 0, colour: false };

const up: Status = {
  ...BLANK,
  state: "up",
  wanted: "up",
  process: { pid: 812, started: 90_000 },
  boot: "b7d2",
  pidns: "4026",
  since: NOW - 50_000,
  first: NOW - 100_000,
  ready: NOW - 50_000,
  waited: 1_500,
  runs: 1,
};
const down: Status = { ...up, state: "down", wanted: "down", process: null };
const backoff: Status = { ...down, state: "backoff", wanted: "up", runs: 4, exit: { code: 1 } };

function shown(status: Status | null, waitingFor: string[] = [], name = "web"): Shown {
  return { name, status, waitingFor };
}

function line(status: Status | null, waitingFor: string[] = []): string {
  return statusLine(shown(status, waitingFor), plain, moment);
}

describe("a line", () => {
  test.each([
    [up, "web: UP, pid 812, 100 s"],
    [
      { ...up, runs: 3, exit: { signal: 9 } },
      "web: UP, pid 812, 100 s, 3 runs, last ended by signal KILL",
    ],
    [{ ...up, runs: 2 }, "web: UP, pid 812, 100 s, 2 runs"],
    [{ ...down, wanted: "once", runs: 0 }, "web: DOWN, stopped, 50 s"],
    [{ ...up, state: "starting" }, "web: UP, pid 812, 100 s, starting"],
    [{ ...up, state: "stopping", wanted: "down" }, "web: UP, pid 812, 100 s, stopping"],
    [{ ...up, wanted: "once" }, "web: UP, pid 812, 100 s, once"],
    [down, "web: DOWN, stopped, 50 s"],
    [{ ...down, exit: { signal: 15 } }, "web: DOWN, stopped, 50 s, ended by signal TERM"],
    [{ ...down, wanted: "once", exit: { code: 0 } }, "web: DOWN, ran once, 50 s, exited with 0"],
    [
      { ...backoff, next: NOW + 4_000 },
      "web: DOWN, 50 s, 4 runs, exited with 1, next start in 4 s",
    ],
    [
      { ...backoff, runs: 0, state: "failed", exit: null, reason: "not executable" },
      "web: DOWN, cannot start: not executable",
    ],
    [{ ...up, state: "starting", process: null }, "web: DOWN, 50 s"],
  ] as [Status, string][])("%#: of %j is '%s'", (status, text) => {
    expect(line(status)).toBe(text);
  });

  test("says what a service waits for", () => {
    const text = line({ ...up, state: "starting" }, ["db", "a\nb"]);
    expect(text).toBe("web: UP, pid 812, 100 s, starting, waiting for db a\\x0ab");
    expect(line(up, ["db"])).toEndWith(", waiting for db");
  });

  test("says it when there is no status yet", () => {
    expect(line(null)).toBe("web: DOWN, not seen yet");
  });

  test("does not say DOWN where it is not known", () => {
    const text = statusLine({ ...shown(null), unknown: true }, plain, moment);
    expect(text).toBe("web: UNKNOWN, its status cannot be read");
  });

  test("never tells a negative time, whatever the clocks say", () => {
    expect(line({ ...up, process: { pid: 812, started: 200_000 } })).toBe("web: UP, pid 812, 0 ms");
    expect(line({ ...down, since: NOW + 9_000 })).toBe("web: DOWN, stopped, 0 ms");
    expect(line({ ...backoff, next: NOW - 9_000 })).toEndWith("next start in 0 ms");
  });

  test("is one line of harmless bytes, whatever the name and the reason are", () => {
    const status: Status = { ...backoff, state: "failed", reason: "\x1b[2J\n\\" };
    const text = statusLine(shown(status, [], "a\n\x1b]0;x\x07\xff"), plain, moment);
    expect(text).toStartWith("a\\x0a\\x1b]0;x\\x07\xff: DOWN");
    expect(text).toEndWith("\\x1b[2J\\x0a\\x5c");
  });

  test("is aligned behind the longest name, as it is shown", () => {
    const align = (name: string) =>
      statusLine(shown(null, [], name), { width: 5, colour: false }, moment).indexOf("DOWN");
    expect(["a", "four", "a\n", "longest"].map(align)).toEqual([7, 7, 7, 9]);
  });

  test("is coloured by whether it runs, and whether it should", () => {
    const paint = (status: Status | null) =>
      statusLine(shown(status), { width: 0, colour: true }, moment).split(",")[0];
    expect(paint(up)).toBe("web: \x1b[32mUP\x1b[0m");
    expect(paint(backoff)).toBe("web: \x1b[31mDOWN\x1b[0m");
    expect(paint(down)).toBe("web: \x1b[33mDOWN\x1b[0m");
    expect(paint({ ...up, state: "stopping", wanted: "down" })).toBe("web: \x1b[32mUP\x1b[0m");
    expect(line(up)).not.toContain("\x1b");
  });
});

test("a service is up while its process runs, in whatever state", () => {
  expect(isUp(shown({ ...up, state: "stopping" }))).toBeTrue();
  expect([isUp(shown(down)), isUp(shown(backoff)), isUp(shown(null))]).toEqual(
    Array(3).fill(false),
  );
});

describe("as JSON", () => {
  test("has every field, null where there is none", () => {
    expect(statusObject(shown(up, ["db"]))).toEqual({
      name: "web",
      up: true,
      state: "up",
      wanted: "up",
      pid: 812,
      start: 90_000,
      finish: null,
      finish_start: null,
      boot: "b7d2",
      pidns: "4026",
      since: 1_699_999_950,
      first: 1_699_999_900,
      ready: 1_699_999_950,
      waited: 1.5,
      runs: 1,
      short: 0,
      exit: null,
      signal: null,
      exit_unknown: false,
      next: null,
      reason: null,
      logger: null,
      waiting: ["db"],
    });
  });

  test("has the same fields whatever is known", () => {
    const keys = Object.keys(statusObject(shown(up)));
    expect(Object.keys(statusObject(shown(null)))).toEqual(keys);
    const { name, up: isRunning, exit_unknown, waiting, ...rest } = statusObject(shown(null));
    expect([name, isRunning, exit_unknown, waiting]).toEqual(["web", false, false, []]);
    expect(Object.values(rest).every((value) => value === null)).toBeTrue();
  });

  test("is neither up nor down where it is not known", () => {
    expect(statusObject({ ...shown(null), unknown: true })).toMatchObject({
      up: null,
      state: null,
    });
  });

  test("tells the three ways a life ends apart", () => {
    const ways = [{ code: 0 }, { signal: 9 }, { unknown: true } as const].map((exit) => {
      const { exit: code, signal, exit_unknown } = statusObject(shown({ ...down, exit }));
      return [code, signal, exit_unknown];
    });
    expect(ways).toEqual([
      [0, null, false],
      [null, 9, false],
      [null, null, true],
    ]);
  });

  test("shows UTF-8 as it is, other bytes and control bytes as \\xNN", () => {
    const utf8 = Buffer.from("café").toString("latin1");
    const names = [utf8, "caf\xe9", "a\nb", `\xff${utf8}`, "\\"].map(
      (name) => statusObject(shown(up, [], name)).name,
    );
    expect(names).toEqual(["café", "caf\\xe9", "a\\x0ab", "\\xffcaf\\xc3\\xa9", "\\x5c"]);
    expect(statusObject(shown({ ...up, reason: "\xe9" }, ["\xe9"]))).toMatchObject({
      reason: "\\xe9",
      waiting: ["\\xe9"],
    });
  });
});
