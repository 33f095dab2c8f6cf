/** readproctitle: the last of its input, where ps(1) shows it. */
import { expect, test } from "bun:test";
import { read } from "../lib/files.ts";
import { Logger, numbered, programs, run, workplace } from "../lib/logger.ts";
import { until } from "../lib/until.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const { ours } = programs("readproctitle");
const dir = scratchDirectory();
const DOTS = ".".repeat(20);

test("shows what it reads, the last of it, without NUL bytes", async () => {
  using logger = new Logger([ours, "io", "errors:", DOTS], workplace(dir));
  const shows = (last: string) => {
    const wanted = [ours, "io", "errors:", last, ""].join("\0");
    return until(() => read(`/proc/${logger.pid}/cmdline`) === wanted, last);
  };
  await shows(DOTS);
  logger.write("a\0bc\n");
  await shows(`${".".repeat(16)}abc\n`);
  logger.write("fatal error xyz\nwarning abc\n");
  await shows("... xyz\nwarning abc\n");
  logger.write(`${numbered(0, 50_000)}\xff\n`);
  await shows("...49998\nline 49999\n\xff\n".replace(/^(\.\.\.).*(.{17})$/s, "$1$2"));
  expect(await logger.end()).toBe(0);
  expect(logger.messages).toBe("");
});

test("needs at least five dots to write to", async () => {
  for (const args of [[], ["...."], ["a", ""]]) {
    expect((await run([ours, ...args], { cwd: dir })).code).toBe(100);
  }
});

test("exits 111 when it cannot read", async () => {
  expect((await run(["sh", "-c", '"$0" ..... </', ours], { cwd: dir })).code).toBe(111);
});

test("--help prints the usage", async () => {
  const { code, out } = await run([ours, "--help"], { cwd: dir });
  expect([code, out.slice(0, 20)]).toEqual([0, "usage: readproctitle"]);
});
