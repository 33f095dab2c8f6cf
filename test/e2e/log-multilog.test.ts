/** multilog beside the original: the same logs, words and exit codes for the same input. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { inputs, logFiles, logText, masked, programs, run } from "../lib/logger.ts";
import { Random } from "../unit/random.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const { ours, theirs } = programs("multilog");
const dir = scratchDirectory();
let rows = 0;

/** Everything that can be seen from outside, but where a file ends and the next one begins. */
async function outcome(program: string, script: string[], input: string) {
  const cwd = `${dir}/${rows++}`;
  mkdirSync(cwd, { recursive: true });
  writeFileSync(`${cwd}/file`, "");
  const { code, out, err } = await run([program, ...script], { input, cwd });
  const logs = ["a", "b"].map((log) => `${cwd}/${log}`).filter((log) => existsSync(log));
  const status = existsSync(`${cwd}/st`) && masked(readFileSync(`${cwd}/st`, "latin1"));
  const seen = { code, out, words: masked(err), status, logs: logs.map(contents) };
  rmSync(cwd, { recursive: true });
  return seen;
}

function contents(log: string) {
  const files = logFiles(log);
  const kinds = files.map(({ name, mode }) => `${name} ${mode}`);
  // What is still in current no processor has seen.
  return { text: logText(log).toLowerCase(), kinds: [...new Set(kinds)] };
}

async function same(script: string[], input: string): Promise<void> {
  const expected = await outcome(theirs ?? "", script, input);
  const found = await outcome(ours, script, input);
  expect({ script, ...found }).toEqual({ script, ...expected });
}

const scripts: string[][] = [
  [],
  ["e"],
  ["t", "e"],
  ["e", "e"],
  ["", "x", "e"],
  ["e", "t"],
  ["-*", "e"],
  ["-*", "+*o*", "e"],
  ["+nothing", "-one", "e", "+one", "e"],
  ["t", "-*", "+* fatal: *", "e"],
  ["-*", "+named[*]: Cleaned cache *", "./a"],
  ["=st"],
  ["t", "=st", "./a"],
  ["-*", "+*two", "=st"],
  ["./a"],
  ["t", "./a"],
  ["time", "./a", "-line *1 *", "./b"],
  ["s1", "n1000", "./a", "s99999999999999999999", "./b"],
  ["s", "n0", "./a"],
  ["s4096", "n1000", "!tr a-z A-Z", "./a"],
  ["s5000", "n1000", "t", "!cat <&4 >/dev/null; echo x >&5; cat", "./a"],
];

describe.skipIf(!theirs)("multilog does as the original", () => {
  for (const script of scripts) {
    test(`with ${script.join(" ") || "no action"}`, async () => {
      // How many are left of them depends on where files end.
      const all = script.includes("n0") ? { lines: inputs.lines ?? "" } : inputs;
      for (const input of Object.values(all)) await same(script, input);
    });
  }

  test.each([
    [["=nowhere/st"]],
    [["=."]],
    [["./nowhere/a"]],
    [["./file"]],
    [["./a", "./a"]],
    [["./a", "./nowhere/a", "=nowhere/st"]],
    [["/dev/null"]],
    [["=/dev/null", "e"]],
  ])("in trouble with %j", async (script) => {
    await same(script, "one\n");
  });

  test("with any pattern", async () => {
    const random = new Random(2);
    const word = (length: number) => random.bytes(random.below(length), "ab*");
    const lines = Array.from({ length: 300 }, () => `${word(8)}\n`).join("");
    for (let i = 0; i < 80; i++) await same(["-*", `+${word(7)}`, "./a"], lines);
  });

  test("with a line of 10 MB", async () => {
    const line = `${"0123456789".repeat(1 << 20)}\n`;
    await same(["t", "n1000", "./a", "e"], `one\n${line}two\n`);
  });

  test("after an outage", async () => {
    const states: Record<string, [string, number]>[] = [
      { current: ["torn", 0o644] },
      { current: ["whole\n", 0o744] },
      { current: ["new", 0o644], previous: ["old\n", 0o744] },
      { current: ["new", 0o644], previous: ["old", 0o744], processed: ["done", 0o744] },
      { current: ["new", 0o644], previous: ["old", 0o744], processed: ["half", 0o644] },
      { current: ["", 0o644], state: ["x", 0o644], newstate: ["y", 0o644] },
    ];
    const after = async (program: string, files: Record<string, [string, number]>) => {
      const cwd = `${dir}/${rows++}`;
      mkdirSync(`${cwd}/a`, { recursive: true });
      for (const [name, [text, mode]] of Object.entries(files)) {
        writeFileSync(`${cwd}/a/${name}`, text, { mode });
      }
      const { code, err } = await run([program, "./a"], { input: "next\n", cwd });
      return { code, err, files: logFiles(`${cwd}/a`) };
    };
    for (const files of states) {
      expect(await after(ours, files)).toEqual(await after(theirs ?? "", files));
    }
  });
});
