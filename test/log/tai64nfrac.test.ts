/** tai64nfrac: what it makes of lines, and how it ends. */
import { expect, test } from "bun:test";
import { numbered, programs, run } from "../lib/logger.ts";
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
  expect([code, out.split("\n")[0]]).toEqual([0, "usage: tai64nfrac"]);
});
