/** envdir(8): runs a program with variables from the files of a directory. */
import { chain, FATAL, failed, run, type State, Stop, type Target } from "./chain.ts";
import { readEnvironmentDirectory, type Stage } from "./environ.ts";

export const usage = `usage: envdir DIR PROGRAM [ARG ...]

Run a program with a variable for each file in a directory: its first line.
An empty file removes the variable.

  -h, --help   print this, if there is nothing else
`;

const NAME = "envdir";

/** What is said of trouble, followed by what it is about. */
const WORDS: Readonly<Record<Stage, string>> = {
  start: "unable to switch to current directory",
  enter: "unable to switch to directory ",
  open: "unable to read directory ",
  read: "unable to read ",
  return: "unable to switch to starting directory",
};

export function step([directory, ...program]: readonly string[], state: State): Target {
  if (directory === undefined || program.length === 0) {
    // Not 100, as of the others.
    throw new Stop("envdir: usage: envdir dir child\n", FATAL);
  }
  const found = readEnvironmentDirectory(directory, () => false);
  if (!Array.isArray(found)) throw failed(NAME, `${WORDS[found.stage]}${found.thing}`, found.code);
  for (const change of found) state.change(change);
  return run(NAME, program);
}

export const main = (args: string[]) => chain({ usage, step }, args);
