/** The contents of the files in RUNDIR: status, stop marker, waiter; as text and back. */
import { describe, expect, test } from "bun:test";
import { SIGNALS, signalName } from "../src/libc.ts";
import {
  BLANK,
  describeExit,
  type Exit,
  formatStatus,
  formatWaiter,
  parseMarker,
  parseSignal,
  parseStatus,
  parseWaiter,
  STATES,
  type Status,
} from "../src/status.ts";
import { chooseSeed, Random } from "./unit/random.ts";

const plain: Status = {
  ...BLANK,
  state: "up",
  wanted: "up",
  process: { pid: 812, started: 4711 },
  boot: "b7d2f9a0-5c1e-4a53-9c62-0a1b2c3d4e5f",
  pidns: "4026531836",
  since: 1_700_000_000_123,
  runs: 3,
};

function randomStatus(random: Random): Status {
  const maybe = <T>(value: T): T | null => (random.chance(0.5) ? value : null);
  const exits: readonly [Exit, ...Exit[]] = [
    { code: random.below(256) },
    { signal: 1 + random.below(64) },
    { unknown: true },
  ];
  const process = { pid: 2 + random.below(2 ** 22), started: random.below(2 ** 40) };
  return {
    state: random.pick(STATES),
    wanted: random.pick(["up", "once", "down"]),
    process: maybe(process),
    finish: maybe({ pid: 2 + random.below(2 ** 22), started: random.below(2 ** 40) }),
    boot: random.bytes(36, "0123456789abcdef-"),
    pidns: random.bytes(10, "0123456789"),
    since: random.below(2 ** 43),
    first: maybe(random.below(2 ** 43)),
    ready: maybe(random.below(2 ** 43)),
    waited: random.pick([0, 1, random.below(2 ** 43)]),
    runs: random.below(1e9),
    short: random.below(1e6),
    exit: maybe(random.pick(exits)),
    next: maybe(random.below(2 ** 43)),
    reason: maybe(random.bytes(random.below(60))),
    logger: random.chance(0.5),
  };
}

describe("the status file", () => {
  test("is one key=value per line, and a key without a value is left out", () => {
    expect(formatStatus(plain)).toBe(
      "state=up\nwanted=up\npid=812\nstart=4711\nboot=b7d2f9a0-5c1e-4a53-9c62-0a1b2c3d4e5f\n" +
        "pidns=4026531836\nsince=1700000000.123\nruns=3\n",
    );
    const full: Status = {
      ...plain,
      state: "backoff",
      process: null,
      first: 1_700_000_000_000,
      ready: 1_700_000_000_100,
      waited: 12.3,
      short: 1,
      exit: { signal: 9 },
      next: 1_700_000_002_000,
      reason: "a\nstate=up",
    };
    const text = formatStatus(full);
    expect(text).toEndWith(
      "runs=3\nfirst=1700000000.000\nready=1700000000.100\nwaited=0.012\n" +
        "short=1\nexit=signal KILL\nnext=1700000002.000\nreason=a\\x0astate=up\n",
    );
    expect(text).not.toContain("pid=");
  });

  test("gives back what was written, whatever it is", () => {
    const seed = chooseSeed();
    const random = new Random(seed);
    for (let i = 0; i < 10_000; i++) {
      const status = randomStatus(random);
      const back = parseStatus(formatStatus(status));
      if (!Bun.deepEquals(back, status)) expect({ seed, back }).toEqual({ seed, back: status });
    }
  });

  test("stays within what is read of it with the longest reason there is", () => {
    // An interpreter of 254 bytes, each of them escaped.
    const reason = `no interpreter ${"\x01".repeat(254)}`;
    expect(formatStatus({ ...plain, reason }).length).toBeLessThan(4096);
  });

  const text = formatStatus(plain);
  test.each([
    ["nothing", ""],
    ["no state", text.replace("state=up\n", "")],
    ["another state", text.replace("state=up", "state=asleep")],
    ["a state of Object.prototype", text.replace("state=up", "state=constructor")],
    ["no wanted", text.replace("wanted=up\n", "")],
    ["another wanted", text.replace("wanted=up", "wanted=yes")],
    ["no runs", text.replace("runs=3\n", "")],
    ["negative runs", text.replace("runs=3", "runs=-3")],
    ["runs with an exponent", text.replace("runs=3", "runs=1e3")],
    ["no since", text.replace(/since=.*\n/, "")],
    ["a since that is no time", text.replace(/since=.*/, "since=yesterday")],
    ["a since without milliseconds", text.replace(/since=.*/, "since=1700000000")],
    ["spaces around =", text.replaceAll("=", " = ")],
  ])("is nothing to us with %s", (_, garbage) => {
    expect(parseStatus(garbage)).toBeNull();
  });

  test.each(["-1", "0", "1", "2147483648", "8e2", "0x332", " 812", "812 ", "+812", "812\0", ""])(
    "has no process when its pid is %j",
    (pid) => {
      expect(parseStatus(text.replace("pid=812", `pid=${pid}`))?.process).toBeNull();
    },
  );

  test("may have the first pid after init", () => {
    expect(parseStatus(text.replace("pid=812", "pid=2"))?.process?.pid).toBe(2);
  });

  test("has no process without a start time: a pid alone is recycled", () => {
    expect(parseStatus(text.replace("start=4711\n", ""))?.process).toBeNull();
  });

  test("with keys of a later version is read all the same", () => {
    expect(parseStatus(`colour=red\n${text}\n\n=\nready\n`)).toEqual(plain);
  });

  test("that was cut short never gives another pid", () => {
    for (let length = 0; length < text.length; length++) {
      const process = parseStatus(text.slice(0, length))?.process ?? null;
      if (process !== null) expect(process).toEqual({ pid: 812, started: 4711 });
    }
  });

  test.each([
    ["exit=0", { code: 0 }],
    ["exit=255", { code: 255 }],
    ["exit=signal TERM", { signal: 15 }],
    ["exit=signal 34", { signal: 34 }],
    ["exit=unknown", { unknown: true }],
    ["exit=signal 0", { unknown: true }],
    ["exit=signal 65", { unknown: true }],
    ["exit=garbage", { unknown: true }],
    ["exit=", { unknown: true }],
  ])("says how the last life ended: %s", (line, exit) => {
    expect(parseStatus(`${text}${line}\n`)?.exit).toEqual(exit as Exit);
  });
});

describe("a signal", () => {
  test("has a name and a number, and each gives the other", () => {
    for (const [name, number] of Object.entries(SIGNALS)) {
      expect(signalName(number)).toBe(name);
      const forms = [name, `SIG${name}`, name.toLowerCase(), `sig${name}`, String(number)];
      expect(forms.map(parseSignal)).toEqual(forms.map(() => number));
    }
  });

  test("of real time has a number only", () => {
    expect([signalName(34), parseSignal("34"), parseSignal("64")]).toEqual(["34", 34, 64]);
  });

  test.each(["", "0", "65", "-9", "9.0", "1e1", "SIG", "SIGSIGTERM", "TERM ", "constructor"])(
    "is not %j",
    (text) => {
      expect(parseSignal(text)).toBeNull();
    },
  );
});

describe("the stop marker", () => {
  test.each([
    [null, "up", null],
    ["", "down", null],
    ["\n", "down", null],
    ["once\n", "once", null],
    ["once", "once", null],
    ["  once \r\n", "once", null],
    ["0\n", "once", null],
    ["INT\n", "down", 2],
    ["sigkill", "down", 9],
    ["9", "down", 9],
    ["Once", "down", null],
    ["once more", "down", null],
    ["once\nINT\n", "down", null],
    ["TERM\nfoo", "down", null],
    ["00", "down", null],
    ["999", "down", null],
    ["\0once", "down", null],
    ["\x00\xff\x01", "down", null],
  ] as const)("with %j means %s, with signal %j", (text, wanted, signal) => {
    expect(parseMarker(text)).toEqual({ wanted, signal });
  });
});

describe("a waiter", () => {
  test("tells its process and what it waits for, byte for byte", () => {
    const waiter = {
      process: { pid: 900, started: 5 },
      services: ["db", "a b", "x\ny", "\xff\\x0a", "for=web"],
    };
    expect(parseWaiter(formatWaiter(waiter))).toEqual(waiter);
    expect(formatWaiter(waiter).split("\n").length).toBe(8);
  });

  test.each(["", "for=db\n", "pid=900\nfor=db\n", "pid=1\nstart=5\nfor=db\n", "pid=-1\nstart=5\n"])(
    "is none in %j",
    (text) => {
      expect(parseWaiter(text)).toBeNull();
    },
  );
});

test.each([
  [{ code: 1 }, "exited with 1"],
  [{ signal: 9 }, "ended by signal KILL"],
  [{ signal: 34 }, "ended by signal 34"],
  [{ unknown: true }, "ended (exit status unknown)"],
] as [Exit, string][])("people read %j as: %s", (exit, text) => {
  expect(describeExit(exit)).toBe(text);
});
