/** Random configurations of pmtr: printed and parsed they are the same; random bytes do no harm. */
import { expect, test } from "bun:test";
import { parseConfig } from "../../src/compat/pmtr/parser.ts";
import { printConfig } from "../../src/compat/pmtr/printer.ts";
import { quoteConfWord, readLines } from "../../src/compat/pmtr/words.ts";
import { anyWord, parse, randomConfig, SYSTEM } from "../unit/pmtr-config.ts";
import { chooseSeed, Random } from "../unit/random.ts";

const seed = chooseSeed();

test(`round trip: 500 random configurations (SEED=${seed})`, () => {
  const random = new Random(seed);
  for (let i = 0; i < 500; i++) {
    const config = randomConfig(random);
    expect(parse(printConfig(config))).toEqual({ config, problems: [] });
  }
});

test(`any word, quoted, is read as it was (SEED=${seed})`, () => {
  const random = new Random(seed);
  for (let i = 0; i < 2_000; i++) {
    const words = ["x", anyWord(random), anyWord(random)];
    const { lines, problems } = readLines(`${words.map(quoteConfWord).join(" ")}\n`);
    expect(problems).toEqual([]);
    expect(lines.map((l) => l.words.map((w) => w.text))).toEqual([words]);
  }
});

/** Text that is nearly a configuration, or nothing of the kind. */
function garbage(random: Random): string {
  if (random.chance(0.2)) return random.bytes(random.below(400));
  let text = printConfig(randomConfig(random));
  for (let n = random.below(8); n > 0; n--) {
    const [from, length] = [random.below(text.length + 1), random.below(10)];
    const spice = random.pick([random.bytes(2), '"', "\\", "\n", "{", "}", "job {\n", "\0", " "]);
    text = text.slice(0, from) + spice + text.slice(from + length);
  }
  return text;
}

test(`random bytes neither crash nor hang the parser (SEED=${seed})`, () => {
  const random = new Random(seed);
  for (let i = 0; i < 1_200; i++) {
    const text = garbage(random);
    const lines = text.split("\n").length;
    const { config, problems } = parseConfig(text, SYSTEM);
    for (const { line, text: what } of problems) {
      expect(line >= 1 && line <= lines && what !== "").toBeTrue();
    }
    // What is accepted is a configuration: it survives the round trip.
    if (problems.length === 0) expect(parse(printConfig(config))).toEqual({ config, problems: [] });
  }
});

test.each([
  ["quotes", '"'],
  ["quotes behind backslashes", '\\"\n'],
  ["backslashes", "\\"],
  ["open jobs", "job {\n"],
  ["open depends", "job {\ndepends {\n"],
  ["braces", "}\n"],
  ["words", "x "],
])("a megabyte of %s is read in time linear in it", (_, piece) => {
  const text = piece.repeat(2 ** 20 / piece.length);
  // Quadratic work would take minutes: the runner ends that.
  expect(parse(text).problems.length).toBeGreaterThan(0);
});
