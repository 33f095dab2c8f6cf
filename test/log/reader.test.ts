/** Lines that arrive in pieces of any size are the same lines. */
import { describe, expect, test } from "bun:test";
import { Logger, logText, programs, workplace } from "../lib/logger.ts";
import { chooseSeed, Random } from "../unit/random.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const dir = scratchDirectory();
const seed = chooseSeed();

/** Lines with lengths around all the limits, most of them short. */
function randomLines(random: Random): string {
  const length = () => random.pick([0, 1, 5, 30, 100, 999, 1_000, 1_001, 70_000]);
  return Array.from({ length: 300 }, () => `${random.bytes(length(), "abc *\0\xff")}\n`).join("");
}

describe(`with the seed ${seed}`, () => {
  test.each([
    ["multilog", ["n1000", "./log"], /(?:)/g],
    ["multilog", ["t", "n1000", "./log"], /^@LABEL /gm],
    ["svlogd", ["log"], /(?:)/g],
    ["svlogd", ["-tt", "log"], /^DATE_TIME /gm],
    ["svlogd", ["-t", "-l", "10", "log"], /^@LABEL /gm],
  ])("%s %j", async (program, args, stamp) => {
    const random = new Random(seed);
    const input = randomLines(random);
    const cwd = workplace(dir, "n0\ns100000\n");
    using logger = new Logger([programs(program).ours, ...args], cwd);
    for (let at = 0; at < input.length; ) {
      const length = random.pick([1, 10, 1_000, 65_536, 100_000]);
      logger.write(input.slice(at, at + length));
      at += length;
      if (random.chance(0.5)) await Bun.sleep(1);
    }
    expect(await logger.end()).toBe(0);
    const found = logText(`${cwd}/log`).replaceAll(stamp, "");
    expect(found === input).toBeTrue();
  });
});
