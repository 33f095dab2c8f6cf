/** RUNDIR itself: what it is called, what of it can be trusted, and what is left of it. */
import { beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import * as libc from "../src/libc.ts";
import { E, O } from "../src/libc.ts";
import { COMMANDS, isServiceName, ownProcess, RunDir } from "../src/rundir.ts";
import { readStat } from "./lib/processes.ts";
import { hostile, plainHostile } from "./unit/hostile.ts";
import { opened, remade } from "./unit/rundir.ts";
import { isRoot, scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
const path = `${dir}/run`;
const bait = `${dir}/bait`;
let rundir: RunDir;

beforeEach(() => {
  writeFileSync(bait, "once\n");
  rundir = remade(path);
});

describe("RUNDIR", () => {
  test("is made with what leads to it, for everybody to read", () => {
    opened(RunDir.make(`${path}/a/b/c`)).close();
    expect(statSync(`${path}/a/b/c`).mode & 0o777).toBe(0o755);
    expect(statSync(`${path}/a`).mode & 0o777).toBe(0o755);
  });

  test("has a name of any bytes", () => {
    opened(RunDir.make(`${path}/\xff\n`)).close();
    expect(readdirSync(Buffer.from(path), "latin1" as "utf8")).toEqual(["\xff\n"]);
  });

  test("that cannot be opened says why", () => {
    expect(RunDir.open(`${path}/none`)).toBe(-E.NOENT);
    expect(RunDir.open(bait)).toBe(-E.NOTDIR);
    expect(RunDir.make(`${bait}/run`)).toBe(-E.NOTDIR);
  });

  test("is not the one that we opened once it was removed, moved or replaced", () => {
    expect(rundir.isCurrent()).toBeTrue();
    renameSync(path, `${path}.moved`);
    expect(rundir.isCurrent()).toBeFalse();
    mkdirSync(path);
    expect(rundir.isCurrent()).toBeFalse();
    rmSync(path, { recursive: true });
    symlinkSync(`${path}.moved`, path);
    expect(rundir.isCurrent()).toBeTrue();
    rmSync(`${path}.moved`, { recursive: true });
    expect(rundir.isCurrent()).toBeFalse();
  });

  test.each([
    [0o755, null],
    [0o700, null],
    [0o775, "others may write in it"],
    [0o757, "others may write in it"],
    [0o1777, "others may write in it"],
  ])("of mode %o: weakness is %j", (mode, weakness) => {
    chmodSync(path, mode);
    expect(rundir.weakness()).toBe(weakness);
  });

  test.if(isRoot)("that belongs to somebody else is weak", () => {
    chownSync(path, 65534, 65534);
    expect(rundir.weakness()).toBe("it belongs to uid 65534");
  });
});

describe("RUNDIR after it was removed", () => {
  const link = `${dir}/link`;
  const isOther = { reason: "it is another link than before" };
  const close = (again: ReturnType<RunDir["remake"]>) => {
    if (again instanceof RunDir) again.close();
    return again instanceof RunDir ? "opened" : again;
  };
  const both = (of: RunDir) => [close(of.reopen()), close(of.remake())];

  beforeEach(() => {
    rmSync(link, { force: true });
  });

  test("is made again, or opened once it is there", () => {
    rmSync(path, { recursive: true });
    expect(both(rundir)).toEqual([-E.NOENT, "opened"]);
    expect(both(rundir)).toEqual(["opened", "opened"]);
  });

  test("is no link to what root could use", () => {
    renameSync(path, `${path}.elsewhere`);
    symlinkSync(`${path}.elsewhere`, path);
    expect(both(rundir)).toEqual([isOther, isOther]);
    rmSync(path);
    expect(both(rundir)).toEqual([-E.NOENT, "opened"]);
    rmSync(`${path}.elsewhere`, { recursive: true });
  });

  test("is nothing that others may write in, or that is no directory", () => {
    chmodSync(path, 0o777);
    expect(both(rundir)).toEqual(Array(2).fill({ reason: "others may write in it" }));
    rmSync(path, { recursive: true });
    writeFileSync(path, "");
    expect(both(rundir)).toEqual([-E.NOTDIR, -E.NOTDIR]);
    rmSync(path);
    symlinkSync(`${dir}/none`, path);
    expect(both(rundir)).toEqual([-E.NOENT, -E.EXIST]);
    rmSync(path);
  });

  test("is a link if it was one before and leads to the same place", () => {
    symlinkSync(path, link);
    const led = opened(RunDir.make(link));
    remade(path).close();
    expect([led.isCurrent(), ...both(led)]).toEqual([false, "opened", "opened"]);
    mkdirSync(`${dir}/other`);
    rmSync(link);
    symlinkSync(`${dir}/other`, link);
    expect(both(led)).toEqual([isOther, isOther]);
    led.close();
  });
});

describe("emptying", () => {
  test("leaves the lock, and nothing that a link leads to is touched", () => {
    const lock = rundir.lock();
    for (const [kind, make] of Object.entries({ ...hostile, ...plainHostile })) {
      rundir.makeService(kind);
      make(`${path}/.${kind}`, bait);
      make(`${path}/${kind}/${kind}`, bait);
      make(`${path}/${kind}/control/${kind}`, bait);
    }
    mkdirSync(`${dir}/outside`, { recursive: true });
    writeFileSync(`${dir}/outside/precious`, "");
    symlinkSync(`${dir}/outside`, `${path}/outside`);
    rundir.empty();
    expect(readdirSync(path)).toEqual([".lock"]);
    expect(readFileSync(bait, "utf8")).toBe("once\n");
    expect(readdirSync(`${dir}/outside`)).toEqual(["precious"]);
    libc.close(lock);
  });

  test("gets through a tree deeper than we may open descriptors, and leaks none", () => {
    let fd = libc.openat(libc.AT_FDCWD, path, O.RDONLY | O.DIRECTORY);
    const [before, limits] = [readdirSync("/proc/self/fd").length, libc.getFileLimits()];
    for (let depth = 0; depth < 3_000; depth++) {
      libc.mkdirat(fd, "d", 0o755);
      const inner = libc.openat(fd, "d", O.RDONLY | O.DIRECTORY);
      libc.close(fd);
      fd = inner;
    }
    libc.setFileLimits({ ...limits, soft: before + 64 });
    rundir.empty();
    libc.setFileLimits(limits);
    expect(readdirSync(path)).toEqual([]);
    libc.close(fd);
    expect(readdirSync("/proc/self/fd").length).toBe(before - 1);
  });
});

test("nothing that stands in it costs us a descriptor", () => {
  const before = readdirSync("/proc/self/fd").length;
  for (const make of Object.values({ ...hostile, ...plainHostile })) {
    rundir.makeService("web");
    const files = [
      "pid",
      `.new.${process.pid}`,
      ".control",
      "web/lock",
      "web/status",
      "web/pid",
      "web/waiting",
    ];
    for (const name of [...files, "web/depends", "web/control/up", "web/control/.up"]) {
      make(`${path}/${name}`, bait);
    }
    rundir.supervisor();
    rundir.supervisorMark();
    rundir.marker("web");
    rundir.status("web");
    rundir.ownStatus("web");
    rundir.waiters("web", null);
    rundir.depends("web");
    rundir.take("web", COMMANDS);
    const request = rundir.request("web", "up", "x");
    if (typeof request !== "number") request.close();
    rundir.clearDepends("web");
    rundir.addDepends("web", ["db"]);
    rundir.writeWaiter("web", { process: ownProcess(), services: ["db"] });
    rundir.writeSupervisorPid();
    rundir.writePid("web", 812);
    rundir.setMarker("web", null);
    rundir.forgetService("web");
    rundir.isCurrent();
    rundir.weakness();
    rundir.empty();
  }
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

test.each(["web", "a b", "a\nb", "-d", "\xff", "x".repeat(255), "pid2", "PID", "lock", "con.trol"])(
  "%j is the name of a service",
  (name) => {
    expect(isServiceName(name)).toBeTrue();
  },
);

test.each(["", ".", "..", ".hidden", "pid", "a/b", "/"])("%j is not", (name) => {
  expect(isServiceName(name)).toBeFalse();
});

test("this process knows itself as /proc knows it", () => {
  expect(readStat(process.pid)).toMatchObject(ownProcess());
});
