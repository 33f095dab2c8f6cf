/** envuidgid: two variables. */
import { type Run, SHOW, sameAs, Workplaces } from "../lib/chain.ts";

const commands = [
  ["nobody", ...SHOW],
  ["root", "env"],
  ["no-such-account", "true"],
  ["", "true"],
  ["nobody", "no-such-program"],
  ["nobody"],
  [],
];
sameAs("envuidgid", new Workplaces(), [
  ...commands.flatMap((args): Run[] => [
    { args, user: "root" },
    { args, user: "nobody" },
  ]),
  { args: ["daemon", "env"], env: { UID: "x", A: "1", GID: "y", B: "2" } },
]);
