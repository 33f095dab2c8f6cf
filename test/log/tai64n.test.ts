/** tai64n: what it makes of lines, and how it ends. */
import { expect, test } from "bun:test";
import { numbered, programs, run } from "../lib/logger.ts";
import { endsAsFilter } from "../unit/filter.ts";
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

endsAsFilter("tai64n");
