/** tai64nlocal: what it makes of lines, and how it ends. */
import { expect, test } from "bun:test";
import { numbered, programs, run } from "../lib/logger.ts";
import { endsAsFilter } from "../unit/filter.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const { ours } = programs("tai64nlocal");
const cwd = scratchDirectory();

const TZ = "America/Los_Angeles";

test("writes labels as local time", async () => {
  const input = "@4000000037c219bf2ef02e94 mark\nplain\n@4000000037c219bf2ef02e94";
  const { out } = await run([ours], { input, cwd, env: { TZ } });
  const time = "1999-08-23 21:04:05.787492500";
  expect(out).toBe(`${time} mark\nplain\n${time}`);
});

test("leaves alone what is no time: there the original crashes", async () => {
  const input = `@foo\n@\n@zz top\n@@4000000037c219bf2ef02e94\n@${"f".repeat(100)}\n${numbered(0, 9)}`;
  const { code, out } = await run([ours], { input, cwd });
  expect([code, out]).toEqual([0, input]);
});

endsAsFilter("tai64nlocal");
