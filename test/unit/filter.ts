/** What tai64n, tai64nlocal and tai64nfrac do alike. */
import { expect, test } from "bun:test";
import { programs, run } from "../lib/logger.ts";
import { scratchDirectory } from "./scratch.ts";

/** Defines the tests of how a filter ends, and of its help. */
export function endsAsFilter(name: string): void {
  const { ours } = programs(name);
  const cwd = scratchDirectory();

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
    expect([code, out.split("\n")[0]]).toEqual([0, `usage: ${name}`]);
  });
}
