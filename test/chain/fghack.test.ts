/** fghack: stays as long as somebody has what it gave to its program. */
import { expect, test } from "bun:test";
import { FILES, ours, type Run, runIn, SHOW, sameAs, Workplaces } from "../lib/chain.ts";
import { exists, touch } from "../lib/files.ts";
import { lives } from "../lib/processes.ts";
import { until } from "../lib/until.ts";

const places = new Workplaces();

const commands = [
  [...SHOW],
  [...FILES],
  ["sh", "-c", "exit 7"],
  ["sh", "-c", "kill $$"],
  ["sh", "-c", "echo lost >&30; echo found"],
  ["no-such-program"],
  ["/etc/passwd"],
  [],
];
sameAs(
  "fghack",
  places,
  commands.flatMap((args): Run[] => [
    { args, user: "root" },
    { args, user: "nobody" },
  ]),
);

test("waits for a process that its program has left behind", async () => {
  const script = "(touch begun; until test -e end; do sleep 0.1; done) >/dev/null 2>&1 & exit 3";
  const child = Bun.spawn([ours("fghack"), "sh", "-c", script], { cwd: places.ours });
  await until(() => exists(`${places.ours}/begun`), "the background process");
  expect(lives(child.pid)).toBeTrue();
  expect(child.exitCode).toBeNull();
  touch(`${places.ours}/end`);
  expect(await child.exited).toBe(3);
});

test("says how it is used", async () => {
  const { code, out } = await runIn(places.ours, ours("fghack"), { args: ["--help"] });
  expect([code, out.split("\n")[0]]).toEqual([0, "usage: fghack PROGRAM [ARG ...]"]);
});
