/** Reading a log directory from its end, and on, while it is rotated. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LogFiles } from "../../src/eyes/logfiles.ts";
import { screenLine } from "../../src/eyes/logs.ts";
import { append, makeDirectory, remove, rename, write } from "../lib/files.ts";
import { numbered } from "../lib/logger.ts";

const base = mkdtempSync(join(tmpdir(), "sysmgr-logs."));
afterAll(() => remove(base));

let count = 0;
const old = (n: number, code = "s") => `@40000000${n.toString(16).padStart(16, "0")}.${code}`;

/** A log: its old files, then the present one. */
function log(current: string, ...older: string[]) {
  const dir = `${base}/${count++}`;
  makeDirectory(dir);
  write(`${dir}/current`, current);
  write(`${dir}/lock`, "no log\n");
  for (const [i, text] of older.entries()) write(`${dir}/${old(i)}`, text);
  const files = LogFiles.open(dir);
  if (typeof files === "number") throw new Error(`${files}`);
  return { dir, files };
}

const ALL = Number.POSITIVE_INFINITY;
const lines = (text: string) => text.split("\n").slice(0, -1);

test.each([
  [0, []],
  [1, ["e"]],
  [2, ["d", "e"]],
  [4, ["b", "c", "d", "e"]],
  [9, ["a", "b", "c", "d", "e"]],
  [ALL, ["a", "b", "c", "d", "e"]],
])("the last %d lines, of all files", (n, expected) => {
  const { files } = log("d\ne\n", "a\n", "b\nc\n");
  expect(files.last(n)).toEqual(expected);
  expect(files.more()).toEqual([]);
});

test("long files are read from the end, wherever lines are cut", () => {
  const text = numbered(0, 30_000);
  const { files } = log(text);
  for (const n of [1, 10, 9_999, 30_000, 30_001]) {
    expect(log(text).files.last(n)).toEqual(lines(text).slice(-n));
  }
  expect(files.last(ALL)).toEqual(lines(text));
});

test("a line without its end waits for it", () => {
  const { dir, files } = log("a\nb");
  expect(files.last(ALL)).toEqual(["a"]);
  append(`${dir}/current`, "c\nd");
  expect(files.more()).toEqual(["bc"]);
  expect(files.takePartial()).toEqual(["d"]);
});

/** As svlogd and multilog do it. */
function rotate(dir: string, n: number, code = "s") {
  rename(`${dir}/current`, `${dir}/${old(n, code)}`);
  write(`${dir}/current`, "");
}

test("nothing is lost when it is rotated, even more than once", () => {
  const { dir, files } = log("a\n", "z\n");
  expect(files.last(10)).toEqual(["z", "a"]);
  append(`${dir}/current`, "b\n");
  rotate(dir, 5);
  append(`${dir}/current`, "c\n");
  expect(files.more()).toEqual(["b", "c"]);
  append(`${dir}/current`, "d\n");
  rotate(dir, 6);
  append(`${dir}/current`, "e\n");
  rotate(dir, 7);
  append(`${dir}/current`, "f\n");
  rotate(dir, 8, "u");
  append(`${dir}/current`, "g\n");
  expect(files.more()).toEqual(["d", "e", "f", "g"]);
  expect(files.more()).toEqual([]);
});

test("nothing is lost while multilog gives an old file its name", () => {
  const { dir, files } = log("a\n");
  expect(files.last(10)).toEqual(["a"]);
  rotate(dir, 5);
  write(`${dir}/current`, "b\n");
  rename(`${dir}/current`, `${dir}/previous`);
  expect(files.more()).toEqual([]);
  write(`${dir}/current`, "c\n");
  expect(files.more()).toEqual([]);
  const fresh = LogFiles.open(dir);
  expect(typeof fresh === "number" ? [] : fresh.last(10)).toEqual(["a", "b", "c"]);
  rename(`${dir}/previous`, `${dir}/${old(6)}`);
  append(`${dir}/current`, "d\n");
  expect(files.more()).toEqual(["b", "c", "d"]);
  rename(`${dir}/current`, `${dir}/previous`);
  write(`${dir}/current`, "e\n");
  expect(files.more()).toEqual(["e"]);
});

test("what a processor has made of a file is not printed again", () => {
  const { dir, files } = log("a\n");
  files.last(10);
  append(`${dir}/current`, "b\n");
  rename(`${dir}/current`, `${dir}/${old(3, "u")}`);
  write(`${dir}/current`, "c\n");
  write(`${dir}/${old(3)}`, "processed\n");
  remove(`${dir}/${old(3, "u")}`);
  expect(files.more()).toEqual(["b", "c"]);
});

test("a directory without a log is none", () => {
  makeDirectory(`${base}/empty`);
  expect(LogFiles.open(`${base}/empty`)).toBeLessThan(0);
  expect(LogFiles.open(`${base}/nothing`)).toBeLessThan(0);
});

test("labels are times, and control bytes harmless", () => {
  const time = "[0-9-]{10} [0-9:]{8}\\.";
  expect(screenLine("@400000006920a1b407270e00 \x1b[31mr\\e\td\xff")).toMatch(
    new RegExp(`^${time}120 \\\\x1b\\[31mr\\\\e        d\\\\xff$`),
  );
  expect(screenLine("@400000006920a1b4 no label")).toBe("@400000006920a1b4 no label");
  expect(screenLine("@400000006920a1b407270e00")).toMatch(new RegExp(`^${time}120$`));
});

test("a million lines are not too many, in an old file as in the present one", () => {
  const text = "x\n".repeat(1_000_000);
  const { dir, files } = log(text, text);
  expect(files.last(ALL).length).toBe(2_000_000);
  rename(`${dir}/current`, `${dir}/${old(1)}`);
  write(`${dir}/${old(2)}`, text);
  write(`${dir}/current`, text);
  expect(files.more().length).toBe(2_000_000);
});

test("who has little room reads no more than that, from the end", () => {
  const long = `${"x".repeat(1_000_000)}\n`;
  const { files } = log(`${long.repeat(5)}the end\n`, long, "a\n");
  const found = files.last(500, 100_000);
  expect(found.at(-1)).toBe("the end");
  expect(found.join("\n").length).toBeLessThan(200_000);
  const few = log("b\n", "a\n", long);
  expect(few.files.last(500, 100_000).at(-1)).toBe("b");
});

test("who has little room passes over what comes too fast", () => {
  const { dir, files } = log("a\nb");
  expect(files.last(500, 100_000)).toEqual(["a"]);
  append(`${dir}/current`, `${"x\n".repeat(1_000_000)}the end\nand`);
  const found = files.more(100_000);
  expect([found.at(-1), found.length < 60_000, found.length > 40_000]).toEqual([
    "the end",
    true,
    true,
  ]);
  append(`${dir}/current`, " more\n");
  expect(files.more(100_000)).toEqual(["and more"]);
});

test("of a line of ten million bytes the screen gets its beginning", () => {
  const text = screenLine(`\x1b[2J${"\xff".repeat(10_000_000)}`);
  expect(text).toStartWith("\\x1b[2J\\xff");
  expect(text.length).toBeLessThan(20_000);
});
