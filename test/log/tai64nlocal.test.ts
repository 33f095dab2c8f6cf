/** tai64nlocal: what it makes of lines, and how it ends. */
import { expect, test } from "bun:test";
import { numbered, programs, run } from "../lib/logger.ts";
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

test.each(["</", ">/dev/full"])("exits 111 without a word with %s", async (redirection) => {
  const script = `echo one | (exec "$0" ${redirection})`;
  const { code, err } = await run(["sh", "-c", script, ours], { cwd });
  expect([code, err]).toEqual([111, ""]);
});

test("ends when nobody reads any more", async () => {
  const { out } = await run(
    ["sh", "-c", '(yes | "$0"; echo $? >code) | head -n 1; cat code', ours],
    { cwd },
  );
  expect(out).toMatch(/^.*y\n141\n$/);
});

test("--help prints the usage", async () => {
  const { code, out } = await run([ours, "--help"], { cwd });
  expect([code, out.split("\n")[0]]).toEqual([0, "usage: tai64nlocal"]);
});
