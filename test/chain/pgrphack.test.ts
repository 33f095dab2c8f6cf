/** pgrphack: a session of its own. */
import { type Run, SHOW, sameAs, Workplaces } from "../lib/chain.ts";

const commands = [[...SHOW], ["no-such-program"], ["-x"], [""], []];
sameAs("pgrphack", new Workplaces(), [
  ...commands.flatMap((args): Run[] => [
    { args, user: "root" },
    { args, user: "nobody" },
  ]),
  // Who leads a session cannot begin one.
  { args: [...SHOW], wrapper: ["setsid"] },
]);
