/** runsvchdir(8): makes another directory the one that runsvdir looks at. */
import { err, Failure, out } from "../cli.ts";
import * as libc from "../libc.ts";
import { AT_FDCWD, E, O } from "../libc.ts";
import { askedForHelp } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { calledAs } from "./frontend.ts";

export const usage = `usage: runsvchdir DIR

Let the link current in /etc/runit/runsvdir lead to DIR.

  -h, --help   print this, if it is the only argument
`;

const SYNOPSIS = "dir\n\n";
const DIRECTORIES = "/etc/runit/runsvdir";

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  const [directory] = args;
  if (directory === undefined) {
    err(`usage: ${calledAs("runsvchdir")} ${SYNOPSIS}`);
    return 1;
  }
  try {
    change(directory);
    return 0;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    err(`${calledAs("runsvchdir")}: fatal: ${error.message}\n`);
    return 111;
  }
}

/** Throws Failure if the number is minus an errno. */
function must(code: number, what: string): number {
  if (code < 0) throw new Failure(`${what}: ${reason(code)}`);
  return code;
}

function change(directory: string): void {
  if (directory.startsWith(".")) throw new Failure(`${directory}: must not start with a dot.`);
  const dir = must(
    libc.openat(AT_FDCWD, DIRECTORIES, O.RDONLY | O.DIRECTORY),
    `unable to chdir: ${DIRECTORIES}`,
  );
  const next = statOf(dir, directory, directory);
  if (!next.isDirectory) throw new Failure(`${directory}: not a directory`);
  const now = statOf(dir, "current", "unable to stat: current");
  if (next.ino === now.ino && next.dev === now.dev) {
    return out(`runsvchdir: ${directory}: current.\n`);
  }
  remove(dir, "current.new");
  const made = libc.symlinkat(directory, dir, "current.new");
  must(made, `unable to create: current.new -> ${directory}`);
  remove(dir, "previous");
  must(libc.renameat(dir, "current", dir, "previous"), "unable to copy: current to previous");
  const moved = libc.renameat(dir, "current.new", dir, "current");
  if (moved < 0) libc.renameat(dir, "previous", dir, "current");
  must(moved, "unable to move: current.new to current");
  out(`runsvchdir: ${directory}: now current.\n`);
}

function remove(dir: number, name: string): void {
  const code = libc.unlinkat(dir, name);
  if (code !== -E.NOENT) must(code, `unable to unlink: ${name}`);
}

function statOf(dir: number, path: string, what: string): libc.FileStat {
  const stat = libc.stat(path, dir);
  if (typeof stat === "number") throw new Failure(`${what}: ${reason(stat)}`);
  return stat;
}
