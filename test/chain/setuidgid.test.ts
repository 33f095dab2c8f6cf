/** setuidgid: becomes somebody, or does nothing at all. */
import { expect, test } from "bun:test";
import { ours, type Run, runIn, SHOW, sameAs, Workplaces } from "../lib/chain.ts";
import { isRoot } from "../unit/scratch.ts";

const places = new Workplaces();

const commands = [
  ["nobody", ...SHOW],
  ["daemon", ...SHOW],
  ["root", ...SHOW],
  ["no-such-account", "true"],
  ["", "true"],
  ["0", "true"],
  [":0:0", "true"],
  ["nobody:daemon", "true"],
  ["nobody", "no-such-program"],
  ["nobody", "/root/x"],
  ["nobody", "-h"],
  ["nobody"],
  [],
];
sameAs(
  "setuidgid",
  places,
  commands.flatMap((args): Run[] => [
    { args, user: "root" },
    { args, user: "nobody" },
  ]),
);

test.skipIf(!isRoot)("leaves no group of the caller", async () => {
  const { out } = await runIn(places.ours, "setpriv", {
    args: ["--groups=1,2,3", ours("setuidgid"), "nobody", "cat", "/proc/self/status"],
  });
  expect(out).toMatch(/^Groups:\s65534 $/m);
  expect(out).toMatch(/^Uid:\s65534\s65534\s65534\s65534$/m);
  expect(out).toMatch(/^Gid:\s65534\s65534\s65534\s65534$/m);
});
