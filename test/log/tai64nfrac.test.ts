/** tai64nfrac: what it makes of lines, and how it ends. */
import { expect, test } from "bun:test";
import { numbered, programs, run } from "../lib/logger.ts";
import { endsAsFilter } from "../unit/filter.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const { ours } = programs("tai64nfrac");
const cwd = scratchDirectory();

test("writes labels as seconds since 1970", async () => {
  const input = "@4000000037c219bf2ef02e94 mark\nplain\n@40000000386d438000000001x\n";
  const { code, out } = await run([ours], { input, cwd });
  expect([code, out]).toEqual([0, "935467445.787492500 mark\nplain\n946684790.000000001x\n"]);
});

test("leaves alone what is no time since 1970", async () => {
  const input = `@foo\n@\n@3fffffffffffffff00000000 before\n${numbered(0, 9)}`;
  const { out } = await run([ours], { input, cwd });
  expect(out).toBe(input);
});

endsAsFilter("tai64nfrac");
