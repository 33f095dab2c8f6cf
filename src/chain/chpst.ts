/** chpst(8): runs a program with a changed process state. */
import { VERSION } from "../../config.ts";
import { escapeBytes } from "../bytes.ts";
import { err } from "../cli.ts";
import * as libc from "../libc.ts";
import { AT_FDCWD, O } from "../libc.ts";
import { getopt, WrongUsage } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import * as calls from "./calls.ts";
import { chain, failed, fatal, readOptions, type State, type Target, wrongUsage } from "./chain.ts";
import { LETTERS, LONG, noSettings, note, type Settings } from "./chpst-options.ts";
import { readEnvironmentDirectory, type Stage, type Trouble } from "./environ.ts";
import { lockFile } from "./lock.ts";
import { becomeUser, type Ids, readAccount } from "./users.ts";

export const usage = `usage: chpst [OPTION ...] PROGRAM [ARG ...]

Change the process state, and run a program.

  -u, --user [:]USER[:GROUP ...]   run it as that user, with these groups only
  -U [:]USER[:GROUP]       put the ids of that user into UID and GID
  -b ARGV0                 run it under that name
  -e DIR                   set a variable for each file in a directory
  -/ ROOT                  change the root directory
  -n, --nice INCREMENT     add to the nice value
  -l LOCK                  lock a file
  -L LOCK                  the same, and give up if another process has the lock
  -m BYTES                 limit data, stack, locked memory and address space
  -d, -f, -c, -r BYTES     limit data; files that are written; core files; resident memory
  -o, -p NUMBER            limit open descriptors; processes of the user
  -t SECONDS               limit CPU time
  -P                       run it in a session of its own
  -0, -1, -2               close standard input, output, error
  -v, -V                   say more; print the version to standard error

  --chdir DIR              change the working directory
  --clear-env              begin with an empty environment
  --cpu LIST               run it on these processors: 0,2-3 or a mask, 0x5
  --env NAME=VALUE         set a variable; may be given again
  --max-runtime SECONDS    send it SIGALRM after that time
  --new-session            the same as -P, or fail
  --no-new-privs           let no set-user-ID program give it privileges
  --parent-death-signal SIGNAL   send it that signal when our parent ends
  --stdin, --stdout, --stderr FILE   open a file (the latter two: append to it)
  --ulimit FLAG=SOFT[:HARD]   set limits as ulimit -FLAG of bash does
  --umask OCTAL            set the file mode creation mask
  -h, --help               print this, if there is nothing else
`;

const NAME = "chpst";

/** What the original says to wrong usage, to the letter. */
const WRONG_USAGE =
  "usage: chpst [-vVP012] [-u user[:group]] [-U user[:group]] [-b argv0] [-e dir] [-/ root] " +
  "[-n nice] [-l|-L lock] [-m n] [-d n] [-o n] [-p n] [-f n] [-c n] [-t n] prog\n";

const wrong = (text: string | null = null) => wrongUsage(NAME, WRONG_USAGE, text);

function readSettings(args: readonly string[]): [Settings, readonly string[]] {
  const settings = noSettings();
  const read = (name: string, value: string) => {
    if (name === "V") {
      err(`chpst ${VERSION}\n`);
      throw wrong();
    }
    try {
      note(settings, name, value);
    } catch (error) {
      throw error instanceof WrongUsage ? wrong(error.message || null) : error;
    }
  };
  const program = readOptions(getopt(args, LETTERS, LONG), read, wrong);
  if (program.length === 0) throw wrong();
  return [settings, program];
}

/** What could not be done, and perhaps to what. */
function must(code: number, verb: string, thing?: string): void {
  if (code >= 0) return;
  throw failed(NAME, `unable to ${thing === undefined ? verb : `${verb}: ${thing}`}`, code);
}

/** In the order of the original, with ours in between where they belong. */
export function step(args: readonly string[], state: State): Target {
  const [settings, program] = readSettings(args);
  beginSession(settings);
  setVariables(settings, state);
  if (settings.umask !== null) process.umask(settings.umask);
  changeDirectories(settings);
  openFiles(settings, state);
  if (settings.nice !== 0) must(calls.nice(settings.nice), "set nice level");
  if (settings.processors) must(calls.setAffinity(settings.processors), "set processors");
  if (settings.environmentUser !== null) nameUser(settings.environmentUser, state);
  for (const [resource, limit] of settings.limits) {
    must(state.limits.set(resource, limit), "setrlimit()");
  }
  if (settings.user !== null) {
    becomeUser(NAME, ids(settings.user), state.limits, "setgroups");
  }
  takeLock(settings, state);
  closeStreams(settings, state);
  for (const [resource, soft] of settings.soft) state.limits.setSoft(resource, soft);
  finish(settings, state);

  const [file = ""] = program;
  const argv = [settings.argv0 ?? file, ...program.slice(1)];
  return { file, argv, trouble: `chpst: fatal: unable to run: ${argv[0]}` };
}

function beginSession({ session }: Settings): void {
  if (session === "no") return;
  const code = calls.setsid();
  if (session === "must" && libc.getsid(0) !== process.pid) must(code, "create session");
}

/** What is said of trouble with a directory of variables. */
const WORDS: Readonly<Record<Stage, string>> = {
  start: "open current working directory",
  enter: "switch to directory: ",
  open: "open directory: ",
  read: "read ",
  return: "switch to starting directory",
};

function setVariables({ clearEnvironment, directory, variables, verbose }: Settings, state: State) {
  if (clearEnvironment) state.variables = [];
  if (directory !== null) {
    const skip = ({ stage, thing, code }: Trouble) => {
      if (code !== -libc.E.ISDIR) return false;
      if (verbose)
        err(`chpst: warning: unable to ${WORDS[stage]}${escapeBytes(thing)}: ${reason(code)}\n`);
      return true;
    };
    const found = readEnvironmentDirectory(directory, skip);
    if (!Array.isArray(found)) return must(found.code, `${WORDS[found.stage]}${found.thing}`);
    for (const change of found) state.change(change);
  }
  for (const variable of variables) state.change(variable);
}

function changeDirectories({ root, chdir }: Settings): void {
  if (root !== null) {
    must(calls.chdir(root), "change directory", root);
    must(calls.chroot("."), "change root directory");
  }
  if (chdir !== null) must(calls.chdir(chdir), "change directory", chdir);
}

const APPEND = O.WRONLY | O.APPEND | O.CREAT | O.NOCTTY;

function openFiles({ files }: Settings, { descriptors }: State): void {
  for (const [stream, file] of files) {
    const fd = libc.openat(AT_FDCWD, file, stream === 0 ? O.RDONLY | O.NOCTTY : APPEND, 0o666);
    must(fd, "open", file);
    // What we have to say ourselves is for who has started us.
    if (stream === 2) descriptors.replaceLater(stream, fd);
    else descriptors.replace(stream, fd);
  }
}

function ids(words: string): Ids {
  const found = readAccount(words);
  if ("uid" in found) return found;
  throw found.code === 0 ? fatal(NAME, found.wrong) : failed(NAME, found.wrong, found.code);
}

function nameUser(words: string, state: State): void {
  const { uid, gids } = ids(words);
  state.change(`GID=${gids[0]}`);
  state.change(`UID=${uid}`);
}

function takeLock({ lock }: Settings, { descriptors }: State): void {
  if (!lock) return;
  lockFile(lock.file, lock.wait, descriptors, (verb, code) =>
    failed(NAME, `unable to ${verb === "open" ? "open lock" : verb}: ${lock.file}`, code),
  );
}

const STREAMS = ["stdin", "stdout", "stderr"];

function closeStreams({ close }: Settings, { descriptors }: State): void {
  for (const [fd, name] of STREAMS.entries()) {
    if (close.has(fd)) must(descriptors.close(fd), `close ${name}`);
  }
}

/** What changing the user would undo, or what shall not run while we wait for a lock. */
function finish(settings: Settings, { parent }: State): void {
  const { parentDeathSignal, noNewPrivs, maxRuntime } = settings;
  if (parentDeathSignal !== null) {
    must(calls.setParentDeathSignal(parentDeathSignal), "set parent death signal");
    // It may have ended while we waited.
    if (process.ppid !== parent) libc.kill(process.pid, parentDeathSignal);
  }
  if (noNewPrivs) must(calls.setNoNewPrivs(), "give up new privileges");
  if (maxRuntime !== null) calls.alarm(maxRuntime);
}

export const main = (args: string[]) => chain({ usage, step }, args);
