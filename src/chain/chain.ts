/**
 * Programs that change their process and then become another one: the steps of a chain.
 *
 * A step is parsed, applied in the original's order, and says what is to be run. If that is one of
 * ours again, it is the next step of this very process, so that a script pays once for the start
 * of the runtime. What the runtime could not live with, or needs until the end (limits, signals,
 * the numbers of descriptors), is put right in the moment before execve.
 */
import { environment, escapeBytes, getenv } from "../bytes.ts";
import { err } from "../cli.ts";
import * as libc from "../libc.ts";
import { AT_FDCWD, E } from "../libc.ts";
import { askedForHelp, type GivenOptions } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { choose, programs } from "../programs.ts";
import { exitNow, resetSignals } from "./calls.ts";
import { Descriptors } from "./descriptors.ts";
import { change } from "./environ.ts";
import { Limits } from "./limits.ts";

/** Exit codes of wrong usage, and of trouble before the program runs. */
export const WRONG = 100;
export const FATAL = 111;

/** What steps change of the process, beyond what they change at once. */
export class State {
  /** For the program to come. */
  variables = [...environment()];
  readonly descriptors = new Descriptors();
  readonly limits = new Limits();
  readonly parent = process.ppid;

  change(variable: string): void {
    change(this.variables, variable);
  }
}

/** What a step wants to be run. */
export type Target = {
  /** Looked for in PATH unless it has a slash. */
  readonly file: string;
  readonly argv: readonly string[];
  /** What is said, before the reason, when it cannot be run. */
  readonly trouble: string;
};

/** Throws a Stop. */
export type Step = (args: readonly string[], state: State) => Target;
type Link = { readonly usage: string; readonly step: Step };

/** The end of a chain that does not come to its program: what is said, and the exit code. */
export class Stop extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

/** Trouble: `PROGRAM: fatal: WORDS`. */
export function fatal(program: string, words: string): Stop {
  return new Stop(`${program}: fatal: ${escapeBytes(words)}\n`, FATAL);
}

/** Trouble that the system gives a reason for, minus the errno. */
export function failed(program: string, words: string, code: number): Stop {
  return fatal(program, `${words}: ${reason(code)}`);
}

/** Wrong usage, with what getopt(3) says of it, if anything. */
export function wrongUsage(program: string, line: string, wrong: string | null = null): Stop {
  const first = wrong === null ? "" : `${program}: ${escapeBytes(wrong)}\n`;
  return new Stop(`${first}${line}\n`, WRONG);
}

/** Acts on each option, in their order, and returns what follows them. */
export function readOptions(
  { options, rest, wrong }: GivenOptions,
  act: (name: string, value: string) => void,
  whenWrong: (wrong: string) => Stop,
): readonly string[] {
  for (const [name, value] of options) act(name, value);
  if (wrong !== null) throw whenWrong(wrong);
  return rest;
}

/** The rest of a command line as what is to be run. */
export function run(program: string, argv: readonly string[]): Target {
  const [file = ""] = argv;
  return { file, argv, trouble: `${program}: fatal: unable to run ${file}` };
}

/** A whole chain, from its first step on. Returns only when it comes to nothing. */
export async function chain(first: Link, args: readonly string[]): Promise<number> {
  const self = libc.stat("/proc/self/exe");
  const state = new State();
  let [link, words] = [first, args];
  try {
    for (;;) {
      if (askedForHelp(words, link.usage)) return 0;
      const path = getenv("PATH", state.variables);
      const target = link.step(words, state);
      const paths = candidates(target.file, path);
      const next = choose(target.argv);
      const program = programs[next.name];
      const ours = program?.chained && isSame(search(paths, inspect), self);
      if (!ours) return become(target, paths, state);
      link = (await program.load()) as Link;
      words = next.args;
    }
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    err(error.message);
    return error.exitCode;
  }
}

const DEFAULT_PATH = "/bin:/usr/bin";

/** The paths that are tried one after the other; PATH is the one that the step was given. */
export function candidates(file: string, path = DEFAULT_PATH): string[] {
  if (file.includes("/")) return [file];
  return path.split(":").map((directory) => `${directory || "."}/${file}`);
}

/** After these the search goes on; the last one but NOENT is what is told in the end. */
const passedOver = (code: number) =>
  [E.NOENT, E.ACCES, E.PERM, E.ISDIR].includes(-code as typeof E.NOENT);

/** Why a path cannot be executed, as far as one can tell without trying; or what is there. */
function inspect(path: string): libc.FileStat | number {
  const stat = libc.stat(path);
  if (typeof stat === "number") return stat;
  const code = stat.isFile ? libc.executableAt(AT_FDCWD, path) : -E.ACCES;
  return code < 0 ? code : stat;
}

const SET_ID = 0o6000;

/** True if executing the one file is executing the other, and changes nobody. */
function isSame(a: libc.FileStat | number, b: libc.FileStat | number): boolean {
  if (typeof a === "number" || typeof b === "number") return false;
  return a.dev === b.dev && a.ino === b.ino && (a.mode & SET_ID) === 0;
}

/** Tries paths one after the other; returns the first success, or the error that is to be told. */
export function search<T>(paths: readonly string[], attempt: (path: string) => T | number) {
  let told: number = -E.NOENT;
  for (const path of paths) {
    const found = attempt(path);
    if (typeof found !== "number" || found >= 0) return found;
    if (found !== -E.NOENT) told = found;
    if (!passedOver(found)) break;
  }
  return told;
}

/** What cannot be executed as it is now is not tried: within its limits we may not survive that. */
function become({ argv, trouble }: Target, paths: readonly string[], state: State): never {
  const { descriptors, limits } = state;
  const words = new libc.Strings(argv);
  const variables = new libc.Strings(state.variables);
  descriptors.settle();
  resetSignals();
  // Once for nothing: the first call of anything allocates.
  libc.execveWith("", words, variables);
  const code = search(paths, (path) => {
    const found = inspect(path);
    if (typeof found === "number") return found;
    const code = limits.during(() => libc.execveWith(path, words, variables));
    if (code !== -E.NOEXEC) return code;
    // Without #!: a script of the shell, as for execvp(3).
    const script = new libc.Strings(["/bin/sh", path, ...argv.slice(1)]);
    return limits.during(() => libc.execveWith("/bin/sh", script, variables));
  });
  err(`${escapeBytes(trouble)}: ${reason(code)}\n`);
  return exitNow(FATAL);
}
