/** procmgr: each promise of the manual has a test (docs/procmgr.md). */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const rows = readFileSync(join(root, "docs/procmgr.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && line.includes("/procmgr-"));

test("there are rows", () => {
  expect(rows.length).toBeGreaterThan(40);
});

test.each(rows.map((row) => row.split("|").map((cell) => cell.trim())))(
  "%s%s",
  (_, promise, where) => {
    const [, file = "", title = ""] = (where ?? "").match(/^(\S+): (.*)$/) ?? [];
    expect(promise).not.toBe("");
    expect(readFileSync(join(root, `test/${file}.test.ts`), "utf8")).toContain(title);
  },
);
