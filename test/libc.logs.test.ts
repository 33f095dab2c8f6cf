/** The system calls of the loggers. */
import { expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import * as libc from "../src/libc.ts";
import { AT_FDCWD, E, O } from "../src/libc.ts";
import { launch, sh } from "./unit/child.ts";
import { scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();

function open(name: string, flags: number): number {
  return libc.openat(AT_FDCWD, `${dir}/${name}`, flags | O.CREAT, 0o600);
}

test("bytes are read to, and written from, any place in a buffer", () => {
  const bytes = new Uint8Array(new ArrayBuffer(100));
  bytes.set([1, 2, 0, 255], 10);
  const fd = open("bytes", O.RDWR);
  expect(libc.writeBytes(fd, bytes, 10, 14)).toBe(4);
  expect(libc.fsync(fd)).toBe(0);
  libc.close(fd);
  const again = open("bytes", O.RDONLY);
  expect(libc.readBytes(again, bytes, 50, 3)).toBe(3);
  expect([...bytes.subarray(49, 54)]).toEqual([0, 1, 2, 0, 0]);
  expect([libc.readBytes(again, bytes, 0, 9), libc.readBytes(again, bytes, 0, 9)]).toEqual([1, 0]);
  libc.close(again);
});

test("the beginning of a file is overwritten, wherever we stand", () => {
  const fd = open("status", O.RDWR);
  for (const text of ["one and more", "two"]) {
    expect(libc.overwriteBytes(fd, new TextEncoder().encode(text))).toBe(text.length);
  }
  libc.close(fd);
  expect(readFileSync(`${dir}/status`, "latin1")).toBe("two and more");
});

test("modes and second names are given relative to a directory", () => {
  const fd = open("file", O.WRONLY);
  const at = libc.openat(AT_FDCWD, dir, O.RDONLY | O.DIRECTORY);
  const mode = () => statSync(`${dir}/file`).mode & 0o777;
  expect([libc.fchmod(fd, 0o644), mode()]).toEqual([0, 0o644]);
  expect([libc.chmodat(at, "file", 0o744), mode()]).toEqual([0, 0o744]);
  expect([libc.linkat(at, "file", "other"), statSync(`${dir}/other`).nlink]).toEqual([0, 2]);
  expect(libc.linkat(at, "file", "other")).toBe(-E.EXIST);
  for (const each of [fd, at]) libc.close(each);
});

test("a descriptor is doubled above a number, and is closed when we execute something", () => {
  const fd = open("file", O.RDONLY);
  const above = libc.duplicateFrom(fd, 200);
  expect(above).toBeGreaterThanOrEqual(200);
  expect(readFileSync(`/proc/self/fdinfo/${above}`, "latin1")).toMatch(/flags:\s*02/);
  for (const each of [fd, above]) libc.close(each);
});

test("of two descriptors, it is told which can be read", () => {
  const ends = libc.pipe();
  const other = libc.pipe();
  if (typeof ends === "number" || typeof other === "number") throw new Error("no pipe");
  const both = new libc.PollSet([{ fd: ends.read }, { fd: other.read }]);
  expect(both.wait(0)).toEqual([false, false]);
  libc.writeText(other.write, "x");
  expect(both.wait(-1)).toEqual([false, true]);
  libc.close(ends.write);
  expect(both.wait(-1)).toEqual([true, true]);
  for (const fd of [ends.read, other.read, other.write]) libc.close(fd);
});

test("the end of a child is waited for", () => {
  expect(libc.waitFor(launch(`${dir}/out`, sh("exit 7")))).toEqual({ code: 7, signal: null });
  expect(libc.waitFor(launch(`${dir}/out`, sh("kill -TERM $$")))).toEqual({
    code: null,
    signal: 15,
  });
  expect(libc.waitFor(2 ** 22 + 1)).toBe(-10);
});

test("a child may stay in our session", () => {
  const session = (sameSession: boolean) => {
    libc.waitFor(launch(`${dir}/out`, { ...sh("cut -d' ' -f6 /proc/$$/stat"), sameSession }));
    return Number(readFileSync(`${dir}/out`, "latin1"));
  };
  expect(session(true)).toBe(libc.getsid(0));
  expect(session(false)).not.toBe(libc.getsid(0));
});

test("times are those of the clock and of the zone", () => {
  const before = Date.now();
  const { seconds, nanoseconds } = libc.wallTime();
  expect(seconds * 1000 + nanoseconds / 1e6).toBeWithin(before - 5, Date.now() + 5);
  const midnight = libc.localTime(0n);
  expect(midnight?.second).toBe(0);
  expect([69, 70]).toContain(midnight?.year ?? 0);
  expect(libc.localTime(-(2n ** 63n))).toBeNull();
});
