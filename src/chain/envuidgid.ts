/** envuidgid(8): runs a program with an account's ids in its environment. */
import { chain, run, type State, type Target, wrongUsage } from "./chain.ts";
import { account } from "./users.ts";

export const usage = `usage: envuidgid ACCOUNT PROGRAM [ARG ...]

Run a program with the ids of an account in the variables UID and GID.

  -h, --help   print this, if there is nothing else
`;

const NAME = "envuidgid";

export function step([name, ...program]: readonly string[], state: State): Target {
  if (name === undefined || program.length === 0) {
    throw wrongUsage(NAME, "envuidgid: usage: envuidgid account child");
  }
  const { uid, gids } = account(NAME, name);
  state.change(`GID=${gids[0]}`);
  state.change(`UID=${uid}`);
  return run(NAME, program);
}

export const main = (args: string[]) => chain({ usage, step }, args);
