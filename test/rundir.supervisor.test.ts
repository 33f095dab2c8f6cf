/** Who works on a RUNDIR: the lock that only one has, and the pid that tells who it is. */
import { beforeEach, describe, expect, test } from "bun:test";
import { lstatSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import * as libc from "../src/libc.ts";
import { E } from "../src/libc.ts";
import { RunDir } from "../src/rundir.ts";
import { readStat } from "./lib/processes.ts";
import { ending, launch, sh } from "./unit/child.ts";
import { hostile, plainHostile } from "./unit/hostile.ts";
import { opened, remade } from "./unit/rundir.ts";
import { scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
const path = `${dir}/run`;
const bait = `${dir}/bait`;
let rundir: RunDir;

beforeEach(() => {
  writeFileSync(bait, "once\n");
  rundir = remade(path);
});

describe("the lock", () => {
  test("is had by one at a time, and free again when its descriptor is closed", () => {
    const other = opened(RunDir.open(path));
    const lock = rundir.lock();
    expect(lock).toBeGreaterThan(2);
    expect(other.lock()).toBe(-E.AGAIN);
    expect(rundir.lock()).toBe(-E.AGAIN);
    libc.close(lock);
    const next = other.lock();
    expect(next).toBeGreaterThan(2);
    libc.close(next);
    other.close();
  });

  test("is a file that nobody else can open", () => {
    libc.close(rundir.lock());
    expect(lstatSync(`${path}/.lock`).mode & 0o7777).toBe(0o600);
  });

  test("holds whatever the file says, and changes nothing in it", () => {
    writeFileSync(`${path}/.lock`, "812\n");
    const lock = rundir.lock();
    expect(lock).toBeGreaterThan(2);
    expect(rundir.lock()).toBe(-E.AGAIN);
    expect(readFileSync(`${path}/.lock`, "utf8")).toBe("812\n");
    libc.close(lock);
  });

  test("is free after its last holder has removed it", () => {
    const lock = rundir.lock();
    rundir.unlock();
    const next = rundir.lock();
    expect(next).toBeGreaterThan(2);
    expect(rundir.lock()).toBe(-E.AGAIN);
    libc.close(lock);
    libc.close(next);
  });

  test("is the file that is there, not one that was", () => {
    const lock = rundir.lock();
    expect([rundir.isLock(lock), rundir.isLock(-1), rundir.isLock(0)]).toEqual([
      true,
      false,
      false,
    ]);
    unlinkSync(`${path}/.lock`);
    expect([rundir.isLock(lock), rundir.isLock(-1)]).toEqual([false, false]);
    libc.close(lock);
  });

  test("goes on with the descriptor that a predecessor left, if that is it", () => {
    const lock = rundir.lock();
    expect(rundir.lock(lock)).toBe(lock);
    unlinkSync(`${path}/.lock`);
    const other = rundir.lock(lock);
    expect([other > 2, other === lock]).toEqual([true, false]);
    for (const fd of [lock, other]) libc.close(fd);
    const wrong = libc.openat(libc.AT_FDCWD, bait, libc.O.RDONLY);
    const right = rundir.lock(wrong);
    expect(right).not.toBe(wrong);
    expect(rundir.lock()).toBe(-E.AGAIN);
    for (const fd of [wrong, right]) libc.close(fd);
  });

  test("that another has is not ours, though we have the file open", () => {
    const other = opened(RunDir.open(path));
    const theirs = other.lock();
    const file = libc.openat(libc.AT_FDCWD, `${path}/.lock`, libc.O.RDWR);
    expect(rundir.lock(file)).toBe(-E.AGAIN);
    for (const fd of [theirs, file]) libc.close(fd);
    other.close();
  });

  test("goes to the file that is there, not to the one that was removed meanwhile", async () => {
    // Somebody holds and removes the file over and over: whoever gets the lock has the file.
    const script = 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); (flock 9; rm "$1") 9>>"$1"; done';
    const child = launch(`${dir}/out`, sh(script, `${path}/.lock`));
    let taken = 0;
    while (readStat(child)?.state !== "Z") {
      const lock = rundir.lock();
      if (lock === -E.AGAIN) continue;
      expect(lock).toBeGreaterThan(2);
      const held = statSync(`/proc/self/fd/${lock}`, { bigint: true });
      expect(statSync(`${path}/.lock`, { bigint: true }).ino).toBe(held.ino);
      libc.close(lock);
      taken++;
    }
    await ending(child);
    expect(taken).toBeGreaterThan(0);
  });

  test.each(["a link", "a dangling link", "a directory"])("is not taken on %s", (kind) => {
    hostile[kind]?.(`${path}/.lock`, bait);
    expect(rundir.lock()).toBeLessThan(0);
    expect(readFileSync(bait, "utf8")).toBe("once\n");
  });
});

describe("the supervisor", () => {
  test("is the process that wrote its pid", () => {
    expect(rundir.supervisor()).toBeNull();
    expect(rundir.writeSupervisorPid()).toBe(0);
    expect(rundir.supervisor()).toBe(process.pid);
    expect(readFileSync(`${path}/pid`, "utf8")).toBe(`${process.pid}\n`);
    expect(statSync(`${path}/.control`).mode & 0o777).toBe(0o755);
  });

  test("may be the first process of all", () => {
    writeFileSync(`${path}/pid`, "1\n");
    expect(rundir.supervisor()).toBe(1);
  });

  test("has files of its own, and knows when one of them was removed", () => {
    rundir.writeSupervisorPid();
    expect(rundir.hasSupervisorFiles()).toBeTrue();
    unlinkSync(`${path}/pid`);
    expect(rundir.hasSupervisorFiles()).toBeFalse();
    rundir.writeSupervisorPid();
    rmSync(`${path}/.control`, { recursive: true });
    expect(rundir.hasSupervisorFiles()).toBeFalse();
  });

  test("is told from the next one, though the pid be the same", () => {
    expect(rundir.supervisorMark()).toBe("");
    rundir.writeSupervisorPid();
    const first = rundir.supervisorMark();
    expect([first !== "", rundir.supervisorMark() === first]).toEqual([true, true]);
    rundir.writeSupervisorPid();
    expect(rundir.supervisorMark()).not.toBe(first);
  });

  test("is none once that process has gone", async () => {
    const child = launch(`${dir}/out`, sh("exit 0"));
    await ending(child);
    writeFileSync(`${path}/pid`, `${child}\n`);
    expect(rundir.supervisor()).toBeNull();
  });

  test.each(["", "\n", "0\n", "-1\n", "1e0\n", "+1\n", "4294967297\n", "9".repeat(400), "1 2\n"])(
    "is none in %j",
    (text) => {
      writeFileSync(`${path}/pid`, text);
      expect(rundir.supervisor()).toBeNull();
    },
  );

  test.each(Object.entries({ ...hostile, ...plainHostile }))("is none in %s", (_, make) => {
    writeFileSync(bait, `${process.pid}\n`);
    make(`${path}/pid`, bait);
    expect(rundir.supervisor()).toBeNull();
  });

  test.each(Object.entries({ ...hostile, ...plainHostile }))(
    "writes its pid in place of %s, and of its drop box too",
    (_, make) => {
      for (const name of ["pid", `.new.${process.pid}`, ".control"]) make(`${path}/${name}`, bait);
      expect(rundir.writeSupervisorPid()).toBe(0);
      expect(readFileSync(`${path}/pid`, "utf8")).toBe(`${process.pid}\n`);
      expect(lstatSync(`${path}/pid`).isFile()).toBeTrue();
      expect(lstatSync(`${path}/.control`).isDirectory()).toBeTrue();
      expect(readFileSync(bait, "utf8")).toBe("once\n");
    },
  );
});
