/** pgrphack(8): runs a program in a session, and so a process group, of its own. */
import { setsid } from "./calls.ts";
import { chain, run, type Target, wrongUsage } from "./chain.ts";

export const usage = `usage: pgrphack PROGRAM [ARG ...]

Run a program in a session and a process group of its own.

  -h, --help   print this, if there is nothing else
`;

const NAME = "pgrphack";

export function step(program: readonly string[]): Target {
  if (program.length === 0) throw wrongUsage(NAME, "pgrphack: usage: pgrphack child");
  // Refused to who leads a group already: that is what was wanted.
  setsid();
  return run(NAME, program);
}

export const main = (args: string[]) => chain({ usage, step }, args);
