/** The pictures in docs/ can be made again. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { drawScreen, Screen } from "../../scripts/screenshot.ts";
import { xmlFault } from "../lib/xml.ts";

const script = join(import.meta.dir, "../../scripts/screenshot.ts");

function screen(text: string): Screen {
  const made = new Screen(6, 3);
  made.write(text);
  return made;
}

test.each([
  ["text", "ab\r\ncd", ["ab", "cd", ""]],
  ["a place", "\x1b[2;3Hx\x1b[Hy", ["y", "  x", ""]],
  ["the rest of a line", "abc\x1b[1;2H\x1b[K", ["a", "", ""]],
  ["the rest of the screen", "a\r\nb\r\nc\x1b[2;1H\x1b[J", ["a", "", ""]],
  ["colours and modes take no room", "\x1b[?25l\x1b[7mab\x1b[0mc", ["abc", "", ""]],
  ["what does not fit is cut", "abcdefgh\x1b[9;1Hx", ["abcdef", "", ""]],
  ["other alphabets", "é…", ["é…", "", ""]],
])("the screen: %s", (_, text, lines) => {
  expect(
    screen(text)
      .text.split("\n")
      .map((line) => line.trimEnd()),
  ).toEqual(lines);
});

test("the picture has words in their places, bars and colours", () => {
  const svg = drawScreen(screen("\x1b[7ma<\x1b[0m\r\n\x1b[32mup\x1b[0m  d\x1b[2md"), "<title>");
  expect(xmlFault(svg)).toBeNull();
  expect(svg).toContain("<title>&lt;title&gt;</title>");
  expect(svg).toContain('<rect x="12" y="12" width="16" height="18"');
  expect(svg).toMatch(/<text x="12" y="43" textLength="16" fill="#57ab5a">up</);
  expect(svg).toMatch(/<text x="44" y="43" textLength="8" fill="#d0d7de">d</);
  expect(svg).toMatch(/<text x="52" y="43" textLength="8" fill="#768390">d</);
});

test.concurrent("svctl top and svctl plot can be pictured, with all services", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sysmgr-pictures-test."));
  try {
    const child = Bun.spawn([process.execPath, script, dir], { stdio: ["ignore", 2, 2] });
    expect(await child.exited).toBe(0);
    for (const name of ["top", "plot"]) {
      const svg = readFileSync(join(dir, `${name}.svg`), "utf8");
      expect(xmlFault(svg)).toBeNull();
      for (const service of ["flaky", "logger", "prepare", "sleeper", "web", "worker"])
        expect(svg).toContain(`>${service}</text>`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
