/** docs/file-protocol.md and sysmgr(7) have the same recipes. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../lib/documented.ts";
import { parsePage } from "../lib/page.ts";

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** What mdoc(7) has in place of some characters. */
const plain = (text: string) =>
  text
    .replaceAll("\\(dq", '"')
    .replaceAll("\\(aq", "'")
    .replaceAll("\\e", "\\")
    .replaceAll("\\&", "");

/** Functions of sh, by name. */
function functions(text: string): Map<string, string> {
  const found = text.matchAll(/^(\w+)\(\) \{(?: .* \}|\n[\s\S]*?\n\})$/gm);
  return new Map([...found].map(([all, name = ""]) => [name, all]));
}

const ofManual = functions(plain(read("man/sysmgr.7")));
const ofPage = functions(
  parsePage(read("docs/file-protocol.md"))
    .steps.map((step) => (step.kind === "file" ? step.text : ""))
    .join("\n"),
);

test("they share most of them", () => {
  const shared = [...ofPage.keys()].filter((name) => ofManual.has(name));
  expect(shared.length).toBeGreaterThan(10);
});

for (const [name, text] of ofPage) {
  if (!ofManual.has(name)) continue;
  test(`${name} is the same in both`, () => {
    expect(ofManual.get(name)).toBe(text);
  });
}
