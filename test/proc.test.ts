/** What /proc tells of processes: fields at their places, whatever a process calls itself. */
import { afterEach, describe, expect, test } from "bun:test";
import { copyFileSync, readFileSync, readlinkSync } from "node:fs";
import * as libc from "../src/libc.ts";
import * as proc from "../src/proc.ts";
import { until } from "./lib/until.ts";
import { type Child, ending, idle, launch, sh } from "./unit/child.ts";
import { scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
const started: number[] = [];

/** A child that goes away with the test. */
function child(what: Child): number {
  const pid = launch(`${dir}/out`, what);
  started.push(pid);
  return pid;
}

afterEach(async () => {
  for (const pid of started.splice(0)) {
    libc.kill(pid, libc.SIGNALS.KILL);
    await ending(pid);
  }
});

describe("the stat of a process", () => {
  test("tells what it is: this one", () => {
    const stat = proc.readStat(process.pid);
    expect(stat).toMatchObject({ pid: process.pid, ppid: process.ppid, kernel: false });
    expect(stat?.session).toBe(libc.getsid(0));
    expect(stat?.state).toBe("R");
  });

  test("tells of a child of ours, in a session of its own", async () => {
    const pid = child(idle);
    await until(() => proc.readStat(pid)?.state === "S", "its sleep");
    expect(proc.readStat(pid)).toMatchObject({ ppid: process.pid, session: pid, kernel: false });
  });

  test("is not led astray by a name that looks like a stat", async () => {
    copyFileSync("/bin/sleep", `${dir}/) R 1 (2 )`);
    const pid = child({ path: `${dir}/) R 1 (2 )`, argv: ["sleep", "60"] });
    await until(() => proc.readStat(pid)?.state === "S", "its sleep");
    expect(proc.readStat(pid)).toMatchObject({ ppid: process.pid, session: pid });
  });

  test("tells the start time, the same for ever, later for who started later", async () => {
    const first = child(idle);
    await Bun.sleep(30);
    const second = child(idle);
    const [a, b] = [first, second].map((pid) => proc.readStat(pid)?.started ?? Number.NaN);
    expect((b ?? 0) - (a ?? 0)).toBeGreaterThanOrEqual(2);
    expect(proc.readStat(first)?.started).toBe(a ?? 0);
  });

  test("tells of a zombie that it is one", async () => {
    const pid = launch(`${dir}/out`, sh("exit 0"));
    await until(() => proc.readStat(pid)?.state === "Z", "its end");
    await ending(pid);
  });

  test.each([0, -1, 2 ** 22 + 1, Number.NaN])("is none for pid %j", (pid) => {
    expect(proc.readStat(pid)).toBeNull();
  });
});

test("a process lives while its pid and start time are the same, and is no zombie", async () => {
  const pid = launch(`${dir}/out`, idle);
  const begun = proc.readStat(pid)?.started ?? 0;
  expect(proc.isAlive(pid, begun)).toBeTrue();
  expect(proc.isAlive(pid, begun - 1)).toBeFalse();
  libc.kill(pid, libc.SIGNALS.KILL);
  await until(() => proc.readStat(pid)?.state === "Z", "its death");
  expect(proc.isAlive(pid, begun)).toBeFalse();
  await ending(pid);
  expect(proc.isAlive(pid, begun)).toBeFalse();
});

test("a process that lives is not taken for gone when all descriptors are in use", () => {
  const { started = 0 } = proc.readStat(process.pid) ?? {};
  proc.keepSpare();
  const limits = libc.getFileLimits();
  const used: number[] = [];
  libc.setFileLimits({ ...limits, soft: 64 });
  for (let fd = 0; fd >= 0; fd = libc.openat(libc.AT_FDCWD, "/", libc.O.PATH)) used.push(fd);
  const alive = [1, 2, 3].map(() => proc.isAlive(process.pid, started));
  const full = libc.openat(libc.AT_FDCWD, "/", libc.O.PATH);
  libc.setFileLimits(limits);
  for (const fd of used.slice(1)) libc.close(fd);
  expect(alive).toEqual([true, true, true]);
  expect(full).toBe(-libc.E.MFILE);
});

test("all processes are this one, its parent, its children, and others", () => {
  const pid = child(idle);
  const pids = proc.allStats().map((stat) => stat.pid);
  expect(pids).toEqual(expect.arrayContaining([process.pid, process.ppid, pid]));
  expect(new Set(pids).size).toBe(pids.length);
});

test("the age of a start time is in milliseconds, and never negative", async () => {
  const before = performance.now();
  const begun = proc.readStat(child(idle))?.started ?? 0;
  await Bun.sleep(200);
  const age = proc.ageOf(begun);
  expect(age).toBeWithin(190, performance.now() - before + 20);
  expect(proc.ageOf(2 ** 50)).toBe(0);
});

describe("the environment of a process", () => {
  /** That of a child which has begun. */
  const environOf = async (env: string[]) => {
    const pid = child({ ...idle, env });
    await until(() => proc.readCommandLine(pid)?.[0] === "sleep", "its words");
    return proc.readEnviron(pid);
  };

  test("is what it was started with, byte for byte", async () => {
    const env = ["A=1", "B=\xff=\n", "C="];
    expect(await environOf(env)).toEqual([...env, ""]);
  });

  test("may be larger than a page", async () => {
    const env = [`BIG=${"x".repeat(100_000)}`, "LAST=1"];
    expect(await environOf(env)).toEqual([...env, ""]);
  });

  test("is found in the midst of an execve", async () => {
    const pid = child({
      ...sh('exec sh -c "$1" sh "$1"', 'exec sh -c "$1" sh "$1"'),
      env: ["A=1"],
    });
    for (let looks = 0; looks < 2_000; looks++) {
      // Others may have the machine in the midst of it.
      expect(await until(() => proc.readEnviron(pid), "its variables")).toContain("A=1");
    }
  });

  test("is not to be had when there is none, or it has gone", async () => {
    const bare = child({ ...idle, env: [] });
    await until(() => proc.readCommandLine(bare), "its words");
    const ended = launch(`${dir}/out`, sh("exit 0"));
    await until(() => proc.readStat(ended)?.state === "Z", "its end");
    for (const pid of [bare, ended, 2 ** 22 + 1]) expect(proc.readEnviron(pid)).toBeNull();
    await ending(ended);
  });
});

test("the limits on descriptors of a process are those that it runs with", () => {
  const { hard } = libc.getFileLimits();
  const pid = child({ ...idle, limits: { soft: 77, hard } });
  expect(proc.readFileLimits(pid)).toEqual({ soft: 77, hard });
  expect(proc.readFileLimits(2 ** 22 + 1)).toBeNull();
});

test("a boot and a pid namespace have a name", () => {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  expect(proc.bootId()).toBe(boot);
  expect(`pid:[${proc.pidNamespace()}]`).toBe(readlinkSync("/proc/self/ns/pid"));
});
