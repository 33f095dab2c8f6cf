/** Byte strings: what is no UTF-8 survives, what is no text is shown as text. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  absolutePath,
  basename,
  dirname,
  escapeBytes,
  getenv,
  parseCount,
  unescapeBytes,
  wholeLines,
  writeAll,
} from "../src/bytes.ts";
import * as libc from "../src/libc.ts";
import { makeDirectory } from "./lib/files.ts";
import { ending, launch, outputOf, script, sh } from "./unit/child.ts";
import { chooseSeed, Random } from "./unit/random.ts";
import { makeFifo, scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
test("a process finds its arguments, environment and directory byte for byte", async () => {
  const here = `${dir}/caf\xe9 \xff`;
  makeDirectory(here);
  const words = ["", "caf\xe9", "\xff\xfe", "a b\nc", "-d=\x80", "007", ""];
  const env = ["PATH=/bin", "ODD=\xff=\n", "EMPTY=", "odd=2", "ODD=again"];
  const change = { ...script("show-bytes.ts", ...words), env, cwd: here };
  const text = await outputOf(`${dir}/out`, change);
  expect(JSON.parse(Buffer.from(text, "latin1").toString("utf8"))).toEqual({
    arguments: words,
    environment: env,
    odd: "\xff=\n",
    here: `${here}/b/c`,
  });
});

test("an environment that is empty has no variables", async () => {
  const text = await outputOf(`${dir}/out`, { ...script("show-bytes.ts"), env: [] });
  expect(JSON.parse(text)).toMatchObject({ arguments: [], environment: [], odd: null });
});

test("a variable is found by its whole name, the first of several", () => {
  const env = ["AB=1", "A=2", "A=3", "B="];
  expect([getenv("A", env), getenv("B", env), getenv("C", env)]).toEqual(["2", "", undefined]);
});

describe("control bytes, DEL and backslash", () => {
  test("are written as \\xNN, and nothing else is", () => {
    expect(escapeBytes("a\n\x00\x1b\x7f\\ \xff\xe9=")).toBe("a\\x0a\\x00\\x1b\\x7f\\x5c \xff\xe9=");
  });

  test("come back from it, in any mixture", () => {
    const random = new Random(chooseSeed());
    for (let i = 0; i < 5_000; i++) {
      const bytes = random.bytes(random.below(40), random.chance(0.5) ? "\\x0a1f\n" : undefined);
      const text = escapeBytes(bytes);
      expect(text).not.toMatch(/[^ -[\]-~\x80-\xff\\]/);
      expect(unescapeBytes(text)).toBe(bytes);
    }
  });

  test("are not invented from what only looks like it", () => {
    expect(unescapeBytes("\\x4 \\xzz \\xAB \\n \\")).toBe("\\x4 \\xzz \\xAB \\n \\");
  });
});

test.each([
  ["web", "web"],
  ["/var/sysmgr/web", "web"],
  ["/var/sysmgr/web///", "web"],
  ["./web", "web"],
  ["a\nb/c\nd", "c\nd"],
  ["\xff/\xfe", "\xfe"],
  ["..", ".."],
  ["/", ""],
  ["", ""],
])("the last part of %j is %j", (path, name) => {
  expect(basename(path)).toBe(name);
});

test.each([
  ["/a/b", "/a"],
  ["/a//b\n//", "/a"],
  ["/a", "/"],
  ["/", "/"],
])("the directory that %j is in is %j", (path, directory) => {
  expect(dirname(path)).toBe(directory);
});

test.each([
  ["/", "/"],
  ["//a/./b/../c/", "/a/c"],
  ["/../..", "/"],
  ["/\xff/\xe9", "/\xff/\xe9"],
])("the absolute path of %j is %j", (path, absolute) => {
  expect(absolutePath(path)).toBe(absolute);
});

test.each([
  ["0", 0],
  ["007", 7],
  ["812", 812],
  ["999999999999999", 999_999_999_999_999],
  ["9999999999999999", null],
  ["", null],
  ["-1", null],
  ["+1", null],
  ["1e3", null],
  ["0x10", null],
  ["1.5", null],
  [" 1", null],
  ["1\n", null],
  ["\u0661", null],
])("the whole number in %j is %j", (text, number) => {
  expect(parseCount(text)).toBe(number);
});

describe("writing all of a text", () => {
  const text = "0123456789abcdef".repeat(40_000);

  test("waits where a full pipe makes it wait, and loses nothing", async () => {
    const fifo = makeFifo(`${dir}/slow`);
    const reader = launch(`${dir}/sum`, sh('sleep 0.2; wc -c <"$1"', fifo));
    const pipe = libc.openat(libc.AT_FDCWD, fifo, libc.O.RDWR | libc.O.NONBLOCK);
    expect(writeAll(pipe, text)).toBe(0);
    libc.close(pipe);
    await ending(reader);
    expect(readFileSync(`${dir}/sum`, "latin1").trim()).toBe(String(text.length));
  });

  test("is done in pieces of whole lines; one that is longer than a piece is cut", async () => {
    const line = (length: number) => `${"x".repeat(length - 1)}\n`;
    expect(wholeLines(line(4096) + line(1))).toBe(line(4096));
    expect(wholeLines(line(97).repeat(100))).toBe(line(97).repeat(42));
    expect(wholeLines(line(5000))).toBe("x".repeat(4096));
    // The kernel gives a reader all that is there, and that are whole pieces.
    const fifo = makeFifo(`${dir}/pieces`);
    const script = 'exec <"$1"; dd bs=65536 count=1 2>/dev/null; cat >/dev/null';
    const reader = launch(`${dir}/first`, sh(script, fifo));
    const pipe = libc.openat(libc.AT_FDCWD, fifo, libc.O.RDWR | libc.O.NONBLOCK);
    expect(writeAll(pipe, line(97).repeat(5000))).toBe(0);
    libc.close(pipe);
    await ending(reader);
    expect(readFileSync(`${dir}/first`, "latin1")).toMatch(/^(x{96}\n)+$/);
  });

  test("ends with the reason when nobody will ever read it", () => {
    const fifo = makeFifo(`${dir}/broken`);
    const read = libc.openat(libc.AT_FDCWD, fifo, libc.O.RDONLY | libc.O.NONBLOCK);
    const write = libc.openat(libc.AT_FDCWD, fifo, libc.O.WRONLY | libc.O.NONBLOCK);
    libc.close(read);
    expect(writeAll(write, text)).toBe(-libc.E.PIPE);
    expect(writeAll(-1, text)).toBe(-9);
    libc.close(write);
  });

  test("writes one byte per character", () => {
    const fd = libc.openat(libc.AT_FDCWD, `${dir}/bytes`, libc.O.WRONLY | libc.O.CREAT, 0o600);
    expect(writeAll(fd, "\xff\x00\xe9\n")).toBe(0);
    expect([...readFileSync(`${dir}/bytes`)]).toEqual([0xff, 0, 0xe9, 10]);
    expect(writeAll(fd, "")).toBe(0);
    libc.close(fd);
  });
});
