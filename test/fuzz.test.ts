/**
 * Whatever stands in a file, a name or a command line: nothing throws, and nothing comes of it that
 * could do harm. FUZZ_SECONDS=N for each goes on longer, SEED=N repeats a run.
 */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, escapeBytes, unescapeBytes } from "../src/bytes.ts";
import { parseOptions, UsageError } from "../src/cli.ts";
import { COMMANDS, isServiceName, RunDir, SUPERVISOR, SUPERVISOR_COMMANDS } from "../src/rundir.ts";
import {
  formatStatus,
  formatWaiter,
  type ProcessId,
  parseMarker,
  parseStatus,
  parseWaiter,
} from "../src/status.ts";
import { raw } from "./lib/files.ts";
import { hostile } from "./unit/hostile.ts";
import { chooseSeed, Random } from "./unit/random.ts";
import { scratchDirectory } from "./unit/scratch.ts";

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 0.5);
const dir = scratchDirectory();

const VALID =
  "state=up\nwanted=up\npid=812\nstart=4711\nboot=b7d2\npidns=4026\nsince=1700000000.123\nruns=3\n" +
  "first=1700000000.000\nready=1700000000.123\nwaited=0.100\n" +
  "short=2\nexit=signal KILL\nnext=1700000002.000\nreason=no interpreter /x\\x0a\n";
const WAITER = "pid=812\nstart=4711\nfor=db\nfor=a\\x0ab\n";
const SPICE = ["\n", "=", "\0", "-1", "0", "1", "4294967296", "9".repeat(40), "\\x", "NaN", "\xff"];
const WORDS = ["pid", "start", "state", "wanted", "since", "runs", "once", "KILL", "signal ", "up"];

/** Valid text with mistakes in it, or no text at all. */
function garbage(random: Random): string {
  if (random.chance(0.1)) return random.bytes(random.below(300));
  if (random.chance(0.01)) return random.bytes(20_000);
  let text = random.pick([VALID, VALID, WAITER, "once\n", "812\n"]);
  for (let n = random.below(6); n > 0; n--) {
    const [from, length] = [random.below(text.length + 1), random.below(8)];
    const spice = random.pick([random.bytes(2), ...SPICE, ...WORDS]);
    text = text.slice(0, from) + (random.chance(0.7) ? spice : "") + text.slice(from + length);
  }
  return random.chance(0.1) ? text.slice(0, random.below(text.length)) : text;
}

/** A name as somebody may give to a file: never empty, without a slash. */
function fileName(random: Random): string {
  const known = [...COMMANDS, ...SUPERVISOR_COMMANDS, "lock", "status", "pid", "waiting"] as const;
  const name = random.chance(0.5) ? random.pick(known) : random.bytes(1 + random.below(20));
  const odd = random.chance(0.3) ? `.${name}` : random.chance(0.1) ? `${name} ` : name;
  return odd.replace(/[/\0]/g, "_").replace(/^\.{1,2}$/, "x");
}

function harmless(process: ProcessId | null | undefined): boolean {
  return !process || (process.pid > 1 && process.pid < 2 ** 31 && process.started >= 0);
}

/** Runs one try after the other for a while; a failure tells the seed that leads to it. */
function fuzz(what: string, attempt: (random: Random) => void): void {
  const slow = SECONDS * 1000 + 20_000;
  test(what, () => attempts(attempt), slow);
}

function attempts(attempt: (random: Random) => void): void {
  const end = performance.now() + SECONDS * 1000;
  for (let seed = chooseSeed(); performance.now() < end; seed++) {
    try {
      attempt(new Random(seed));
    } catch (error) {
      throw new Error(`SEED=${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
}

function must(condition: boolean, what: string, about: unknown): void {
  if (!condition) throw new Error(`${what}: ${JSON.stringify(about)}`);
}

describe("garbage", () => {
  fuzz("in a status gives no other process, and is written again as it was read", (random) => {
    const text = garbage(random);
    const status = parseStatus(text);
    if (!status) return;
    must(harmless(status.process), "a process", status);
    must(status.since >= 0 && status.runs >= 0 && status.short >= 0, "a count", status);
    must(status.next === null || Number.isFinite(status.next), "a time", status);
    must(Bun.deepEquals(parseStatus(formatStatus(status)), status), "another status", text);
  });

  fuzz("in a stop marker never starts a service, nor gives a signal that is none", (random) => {
    const text = garbage(random);
    const { wanted, signal } = parseMarker(text);
    must(wanted !== "up", "a start", text);
    must(signal === null || (signal >= 1 && signal <= 64), "a signal", text);
    must((wanted === "once") === ["once", "0"].includes(text.trim()), "once", text);
  });

  fuzz("in a waiter gives no other process, and is written again as it was read", (random) => {
    const text = garbage(random);
    const waiter = parseWaiter(text);
    if (!waiter) return;
    must(harmless(waiter.process), "a process", waiter);
    must(Bun.deepEquals(parseWaiter(formatWaiter(waiter)), waiter), "another waiter", text);
  });

  fuzz("in a name is shown harmlessly, and comes back", (random) => {
    const name = random.bytes(random.below(300));
    const shown = escapeBytes(name);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    must(!/[\x00-\x1f\x7f]/.test(shown) && unescapeBytes(shown) === name, "a name", shown);
    const base = basename(name);
    must(!isServiceName(base) || !/^\.|\/|^pid$|^$/.test(base), "a service name", base);
  });

  fuzz("on a command line is wrong usage, or strings", (random) => {
    const words = [
      "-h",
      "-q",
      "-d",
      "--sysdir",
      "--",
      "-",
      "",
      "true",
      "--no-q",
      "--d=",
      "-hd",
      "x",
    ];
    const args = Array.from({ length: random.below(6) }, () => {
      return random.chance(0.7) ? random.pick(words as [string]) : random.bytes(random.below(6));
    });
    const spec = { boolean: ["h", "q"], string: ["d"], alias: { d: "sysdir" } };
    try {
      const options = parseOptions(args, { ...spec, stopEarly: random.chance(0.5) });
      const value = options.value("d");
      must(value === undefined || args.some((a) => a.endsWith(value)), "a value", args);
      must(
        options.operands.every((o) => args.includes(o)),
        "an operand",
        args,
      );
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
    }
  });
});

describe("a RUNDIR full of it", () => {
  const path = `${dir}/run`;
  const bait = `${dir}/bait`;
  const kinds = Object.values(hostile) as [(typeof hostile)[string]];

  fuzz("is read without harm, and can be worked in and emptied", (random) => {
    rmSync(path, { recursive: true, force: true });
    writeFileSync(bait, "precious");
    const rundir = RunDir.make(path);
    if (typeof rundir === "number") throw new Error("cannot make RUNDIR");
    for (const sub of ["web/control", ".control", "web/waiting"]) {
      mkdirSync(`${path}/${sub}`, { recursive: true });
    }
    for (let n = random.below(12); n > 0; n--) {
      const place = random.pick(["", "/web", "/web/control", "/.control", "/web/waiting"]);
      const file = `${path}${place}/${fileName(random)}`;
      try {
        // FIFOs are made by another program, which is slow: the other tests have them.
        if (random.chance(0.7)) writeFileSync(raw(file), raw(garbage(random)), { flag: "wx" });
        else random.pick(kinds.filter((k) => k !== hostile["a FIFO"]) as typeof kinds)(file, bait);
      } catch {
        // something is there already
      }
    }
    must(harmless(rundir.status("web")?.process), "a status", null);
    must(rundir.waiters("web", null).length === 0, "a waiter", null);
    const pid = rundir.supervisor();
    must(pid === null || (pid > 0 && pid < 2 ** 31), "a supervisor", pid);
    rundir.marker("web");
    for (const name of ["web", SUPERVISOR]) {
      for (const { command } of rundir.take(name, COMMANDS).orders) rundir.finish(name, command);
      const again = rundir.take(name, COMMANDS).orders;
      must(again.length === 0, "a command twice", again);
      rundir.take(name, SUPERVISOR_COMMANDS);
    }
    must(rundir.writeSupervisorPid() === 0, "a pid that cannot be written", null);
    must(rundir.makeService("web") <= 0, "a service that cannot be made", null);
    must(rundir.setMarker("web", "once\n") === 0, "a marker that cannot be written", null);
    must(rundir.marker("web")?.wanted === "once", "a marker that was not written", null);
    for (const name of rundir.services()) rundir.forgetService(name);
    rundir.empty();
    const left = readdirSync(path).filter((name) => name !== ".lock");
    must(left.length === 0, "a RUNDIR that cannot be emptied", left);
    must(readFileSync(bait, "utf8") === "precious", "a bait taken", null);
    rundir.close();
  });
});

test("descriptors are not used up by any of it", () => {
  expect(readdirSync("/proc/self/fd").length).toBeLessThan(100);
});
