/** The table from the guide's promises to tests: every test that it names exists. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";

const rows = readFileSync(`${import.meta.dir}/pmtr-guide.md`, "utf8")
  .split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .filter(([, line]) => /^\d+$/.test(line ?? ""))
  .map(([, line = "", promise = "", file = "", title = ""]) => ({ line, promise, file, title }));

test("the table is as long as the guide has promises", () => {
  expect(rows.length).toBeGreaterThanOrEqual(70);
});

test.each(rows.map((row) => [row.line, row.promise, row]))("%s: %s", (_, __, { file, title }) => {
  const text = readFileSync(`${import.meta.dir}/../${file}.test.ts`, "utf8");
  expect(title).not.toBe("");
  expect(text.includes(title)).toBeTrue();
});
