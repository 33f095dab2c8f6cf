/** setlock(8): runs a program with a file locked. */

import { getopt } from "../log/arguments.ts";
import {
  chain,
  failed,
  readOptions,
  run,
  type State,
  Stop,
  type Target,
  wrongUsage,
} from "./chain.ts";
import { lockFile } from "./lock.ts";

export const usage = `usage: setlock [-nNxX] FILE PROGRAM [ARG ...]

Lock a file, which is made if there is none, and run a program.

  -n           give up if another process has the lock
  -N           wait for it (the default)
  -x           without the lock, exit with 0 and say nothing
  -X           without the lock, say so and exit with 111 (the default)
  -h, --help   print this, if there is nothing else
`;

const NAME = "setlock";
const USAGE = "setlock: usage: setlock [ -nNxX ] file program [ arg ... ]";

export function step(args: readonly string[], state: State): Target {
  let [wait, silent] = [true, false];
  const [file, ...program] = readOptions(
    getopt(args, "nNxX"),
    (letter) => {
      if (letter === "n" || letter === "N") wait = letter === "N";
      else silent = letter === "x";
    },
    (wrong) => wrongUsage(NAME, USAGE, wrong),
  );
  if (file === undefined || program.length === 0) throw wrongUsage(NAME, USAGE);
  lockFile(file, wait, state.descriptors, (verb, code) =>
    silent ? new Stop("", 0) : failed(NAME, `unable to ${verb} ${file}`, code),
  );
  return run(NAME, program);
}

export const main = (args: string[]) => chain({ usage, step }, args);
