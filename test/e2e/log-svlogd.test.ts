/** svlogd beside the original: the same files, words and exit codes for the same input. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { raw } from "../lib/files.ts";
import { inputs, logFiles, masked, programs, run } from "../lib/logger.ts";
import { Random } from "../unit/random.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const { ours, theirs } = programs("svlogd");
const dir = scratchDirectory();
let rows = 0;

/** Everything that can be seen from outside. */
async function outcome(program: string, args: string[], config: string | null, input: string) {
  const cwd = `${dir}/${rows++}`;
  mkdirSync(`${cwd}/log`, { recursive: true });
  if (config !== null) writeFileSync(`${cwd}/log/config`, raw(config));
  const { code, out, err } = await run([program, ...args], { input, cwd });
  // When a processor ends depends on the machine.
  const words = masked(err).replaceAll("svlogd: info: sigchild received.\n", "");
  const files = logFiles(`${cwd}/log`);
  rmSync(cwd, { recursive: true });
  return { code, out, words, files };
}

async function same(args: string[], config: string | null, input: string): Promise<void> {
  const expected = await outcome(theirs ?? "", args, config, input);
  const found = await outcome(ours, args, config, input);
  expect({ args, config, ...found }).toEqual({ args, config, ...expected });
}

const options = [
  "",
  "-t",
  "-tt",
  "-ttt",
  "-tttt -v",
  "-r .",
  "-R eno",
  "-r # -R xy",
  "-l 10",
  "-b 9999 -l 3000",
];

const configs: Readonly<Record<string, string | null>> = {
  "no config": null,
  nothing: "",
  "sizes and numbers": "s2000\nn3\n",
  "a size that is too small": "s50\nn0",
  "comments and nonsense": "\n# s1\nxyz\n\n",
  "a prefix": "pweb: \ns3000\n",
  patterns: "-*\n+one\n+*: *\n+line *1* of*\n",
  alerts: "e*\nE*o*\n",
  "no rotation": "s0\nn5\n",
  units: "s2k\nn2\nN1\nt1h\n",
};

/** The original loses a last line that has no newline; ours does not. */
const complete = (text: string) => (text === "" || text.endsWith("\n") ? text : `${text}\n`);

describe.skipIf(!theirs)("svlogd does as the original", () => {
  // A third of all combinations; every two of the three meet.
  for (const [i, option] of options.entries()) {
    test(`with ${option || "no option"}`, async () => {
      const args = [...option.split(" ").filter((word) => word !== ""), "log"];
      for (const [j, [name, config]] of Object.entries(configs).entries()) {
        // It tears timestamps, which then cannot be told from other words.
        if (option.startsWith("-t") && name === "a size that is too small") continue;
        for (const input of Object.values(inputs).filter((_, k) => (i + j + k) % 3 === 0)) {
          // The original replaces nothing beyond the length that patterns see.
          const lines = /-[rR]/.test(option) ? input.replace(/[^\n]{1000,}/g, "") : input;
          await same(args, config, complete(lines));
        }
      }
    });
  }

  test.each([
    [["-h", "log"]],
    [[]],
    [["-x", "log"]],
    [["-r"]],
    [["-r", "", "log"]],
    [["-r", "ab", "log"]],
    [["-b", "10", "log"]],
    [["-b", "1000", "log"]],
    [["-l", "x", "log"]],
    [["-v", "nowhere"]],
    [["nowhere", "log"]],
    [["log", "log"]],
    [["log/config"]],
    [["-v", "log", "nowhere", "log"]],
    [["--", "log"]],
    [["-tv", "-", "log"]],
  ])("to %j", async (args) => {
    await same(args, "s1000\n", "one\ntwo\n");
  });

  test("with addresses that are none", async () => {
    await same(["log"], "uxx\nu1.2.3\nu1.2.3.4:x\nU::1\n", "one\n");
    await same(["-tt", "log"], "U127.0.0.1:9\np>\n", "one\ntwo\n");
  });

  test("with processors", async () => {
    const many = inputs["many lines"] ?? "";
    for (const processor of ["cat", "tr a-z A-Z", "cat <&4; echo x >&5; cat", "head -n 1"]) {
      await same(["-v", "log"], `s20000\n!${processor}\n`, many);
    }
  });

  test("with any pattern", async () => {
    const random = new Random(1);
    const word = (length: number) => random.bytes(random.below(length), "ab*+");
    // At the end of a line, the original may look at what was there in the line before.
    const lines = Array.from({ length: 300 }, () => `${word(7)}\n........\n`).join("");
    for (let i = 0; i < 80; i++) await same(["log"], `-*\n+${word(6)}\n`, lines);
  });

  test("with a line of 10 MB, which is in files of a limited size", async () => {
    const line = `${"0123456789".repeat(1 << 20)}\n`;
    await same(["-tt", "log"], null, `one\n${line}two\n`);
    await same(["log"], "n0\ns100000\n", `one\n${line}two\n`);
  });
});
