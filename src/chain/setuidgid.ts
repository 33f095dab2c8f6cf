/** setuidgid(8): runs a program as another user. */
import { chain, run, type State, type Target, wrongUsage } from "./chain.ts";
import { account, becomeUser } from "./users.ts";

export const usage = `usage: setuidgid ACCOUNT PROGRAM [ARG ...]

Run a program with the user and the group of an account, and with no other groups.

  -h, --help   print this, if there is nothing else
`;

const NAME = "setuidgid";

export function step([name, ...program]: readonly string[], state: State): Target {
  if (name === undefined || program.length === 0) {
    throw wrongUsage(NAME, "setuidgid: usage: setuidgid account child");
  }
  becomeUser(NAME, account(NAME, name), state.limits);
  return run(NAME, program);
}

export const main = (args: string[]) => chain({ usage, step }, args);
