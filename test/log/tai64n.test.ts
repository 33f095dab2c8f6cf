/** tai64n: what it makes of lines, and how it ends. */
import { expect, test } from "bun:test";
import { numbered, programs, run } from "../lib/logger.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const { ours } = programs("tai64n");
const cwd = scratchDirectory();

test("puts a different label in front of each line, and changes nothing else", async () => {
  const input = `one\n\n\xff\0\n${numbered(0, 5_000)}no newline`;
  const { code, out } = await run([ours], { input, cwd });
  const lines = out.split("\n");
  expect(code).toBe(0);
  expect(lines.map((line) => line.slice(26)).join("\n")).toBe(input);
  const labels = lines.map((line) => line.slice(0, 26));
  expect(labels.filter((label) => !/^@4[0-9a-f]{23} $/.test(label))).toEqual([]);
  expect(new Set(labels).size).toBe(lines.length);
  expect(labels).toEqual([...labels].sort());
});

test.each(["</", ">/dev/full"])("exits 111 without a word with %s", async (redirection) => {
  const script = `echo one | (exec "$0" ${redirection})`;
  const { code, err } = await run(["sh", "-c", script, ours], { cwd });
  expect([code, err]).toEqual([111, ""]);
});

test("ends when nobody reads any more", async () => {
  const { out } = await run(
    ["sh", "-c", '(yes | "$0"; echo $? >code) | head -n 1; cat code', ours],
    { cwd },
  );
  expect(out).toMatch(/^.*y\n141\n$/);
});

test("--help prints the usage", async () => {
  const { code, out } = await run([ours, "--help"], { cwd });
  expect([code, out.split("\n")[0]]).toEqual([0, "usage: tai64n"]);
});
