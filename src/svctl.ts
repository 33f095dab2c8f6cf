/** svctl(1): a client of the file protocol; what it does, touch(1) and cat(1) can do. */
import { RUNDIR, SVWAIT_SECONDS, SYSDIR } from "../config.ts";
import { absolutePath, basename, escapeBytes, getenv, parseCount } from "./bytes.ts";
import {
  answeredHelp,
  complain,
  Failure,
  type OptionSpec,
  type Options,
  parseOptions,
  parseSeconds,
  UsageError,
} from "./cli.ts";
import { directories } from "./directories.ts";
import * as libc from "./libc.ts";
import type { Shown } from "./report.ts";
import { isServiceName, RunDir } from "./rundir.ts";
import { Control } from "./svctl/control.ts";
import { operationOf } from "./svctl/operations.ts";
import { areReady, report, showAll, whole, withLogger } from "./svctl/shown.ts";
import { shutDown, upgrade } from "./svctl/supervisor.ts";
import { SysDir } from "./sysdir.ts";

export const usage = `usage: svctl [-hV] [-d SYSDIR] [-r RUNDIR] [-t SECONDS] [-nq] OPERATION [SERVICE...]

Control services and wait until it is so.

  start, up      run it, and keep it running
  stop, down     stop it, and keep it stopped
  restart        stop it if it runs, start it
  try-restart    the same, but only if it runs
  once           run it, and do not restart it when it ends
  kill           stop it with KILL
  exit           stop it, then its logger
  force-stop force-restart
                 when the time is over, go on with KILL
  check          wait until it is as it is wanted
  status, stat   print one line for each SERVICE, or for all
  ready          succeed if each SERVICE, or all that are wanted, are up
  pause cont hup alarm int quit term usr1 usr2
                 send that signal (pause: STOP); reload is hup
  u d o x p c h a i q t 1 2 k
                 short for up down once exit and the signals (k: KILL)

  upgrade          replace the running sysmgr by the binary on disk
  shutdown [CODE]  stop everything; sysmgr exits with CODE (0)

  top              show all services, live; keys control them
  watch            print a line per event, from now on
  logs             print what the logger of a service has written
  graph plot       draw the dependencies, and what happened when
  metrics          print numbers for Prometheus
                   svctl top -h, and so on, tells more of each of these

  -d SYSDIR      directory of services (environment SYSDIR; ${SYSDIR})
  -r RUNDIR      directory of state (environment RUNDIR; ${RUNDIR})
  -t SECONDS     wait this long (environment SVWAIT; ${SVWAIT_SECONDS})
  -n             do not wait
  -q             print errors only
  --force        stop: when the time is over, stop with KILL
  --json         status: print a JSON array
  -h, --help     print this
  -V             print the version

Exit status: 0 done, or all UP; 1 not done, or some DOWN; 2 wrong usage.
`;

/** Operations that only look: the others do not wait until these are loaded. */
const EYES = ["graph", "logs", "metrics", "plot", "top", "watch"];

const PLACES = { d: "sysdir", r: "rundir" };
const OPTIONS: OptionSpec = {
  boolean: ["h", "V", "n", "q", "force", "json"],
  string: ["d", "r", "t"],
  alias: { h: "help", V: "version", q: "quiet", ...PLACES, t: "timeout" },
};

/**
 * Such an operation, if that is what is asked for. It has options of its own; for the others not
 * even the command line is read twice.
 */
async function look(args: readonly string[]): Promise<number | null> {
  if (!args.some((arg) => EYES.includes(arg))) return null;
  const [word = ""] = parseOptions(args, { ...OPTIONS, stopEarly: true }).operands;
  if (!EYES.includes(word)) return null;
  const eye = (await import("./eyes/index.ts")).eyes[word];
  if (!eye) return null;
  const { boolean = [], string = [], alias = {} } = eye.spec;
  const options = parseOptions(args, {
    boolean: ["h", "V", ...boolean],
    string: ["d", "r", ...string],
    alias: { h: "help", V: "version", ...PLACES, ...alias },
  });
  if (answeredHelp(options, eye.usage)) return 0;
  const places = directories(options);
  const source = new SysDir(places.sysdir);
  const meant = (word: string) =>
    isServiceName(word) ? word : (nameAt(word, source) ?? basename(word));
  return await eye.run({ options, names: options.operands.slice(1).map(meant), ...places });
}

export async function main(args: string[]): Promise<number> {
  const looked = await look(args);
  if (looked !== null) return looked;
  const options = parseOptions(args, OPTIONS);
  if (answeredHelp(options, usage)) return 0;
  const [word, ...names] = options.operands;
  if (word === undefined) throw new UsageError("an operation is needed");
  const timeout = waitingTime(options);
  const [code, ...more] = names;
  // Of a service it is sv's word for exit.
  const exitCode = word === "shutdown" && more.length === 0 ? parseCount(code ?? "0") : null;
  const asksUpgrade = word === "upgrade";
  const asksStatus = word === "status" || word === "stat" || word === "ready";
  const operation = exitCode === null ? operationOf(word) : undefined;
  if (exitCode !== null && exitCode > 255) throw new UsageError(`not an exit code: ${code}`);
  if (!asksStatus && !asksUpgrade && exitCode === null && !operation)
    throw new UsageError(`unknown operation ${word}`);
  if (asksUpgrade && names.length > 0) throw new UsageError("upgrade takes no service");
  if (operation && names.length === 0) throw new UsageError(`${word}: a service is needed`);

  const { sysdir, rundir: path } = directories(options);
  const rundir = RunDir.open(path);
  if (typeof rundir === "number")
    throw new Failure(`cannot open ${path}: ${libc.strerror(rundir)}`);
  if (rundir.supervisor() === null) throw new Failure(`no sysmgr works on ${path}`);
  if (asksUpgrade) return await upgrade(rundir, options, timeout);
  if (exitCode !== null) return await shutDown(rundir, exitCode, options, timeout);
  const source = new SysDir(sysdir);
  const known = names.flatMap((name) => find(name, rundir, source) ?? []);
  const shown = () =>
    names.length > 0 ? known.flatMap((n) => withLogger(rundir, n)) : showAll(rundir, source);
  const done = operation
    ? await new Control(rundir, source, operation, options, timeout).all(known)
    : word === "ready"
      ? (await areReady(rundir, shown, options)) && !isHidden(sysdir, source, shown)
      : report(await whole(rundir, shown), options);
  return done && known.length === names.length ? 0 : 1;
}

/** Nothing is known of any service, and SYSDIR does not say that there is none: then it says why. */
function isHidden(sysdir: string, source: SysDir, shown: () => readonly Shown[]): boolean {
  const names = source.entries();
  if (Array.isArray(names) || shown().length > 0) return false;
  complain("svctl", `cannot read ${escapeBytes(sysdir)}: ${names.reason}`);
  return true;
}

/** How long to wait, in milliseconds: -t, else SVWAIT, else the default. */
function waitingTime(options: Options): number {
  const given = options.value("t");
  if (given !== undefined) return parseSeconds(given, "-t");
  const inherited = getenv("SVWAIT");
  return inherited ? parseSeconds(inherited, "SVWAIT") : SVWAIT_SECONDS * 1000;
}

/** The service that is meant by a name or a path; complains when there is none. */
function find(word: string, rundir: RunDir, source: SysDir): string | null {
  const isKnown = (name: string | null): name is string =>
    name !== null && isServiceName(name) && (rundir.hasStatus(name) || source.has(name));
  const meant = isKnown(word) ? word : nameAt(word, source);
  const name = [meant, basename(word)].find(isKnown);
  if (name === undefined) complain("svctl", `${escapeBytes(basename(word))}: no such service`);
  return name ?? null;
}

/** What a path leads to, seen from the service that we may run in. */
function nameAt(path: string, source: SysDir): string | null {
  return source.nameAt(absolutePath(path), getenv("SYSMGR_SERVICE"));
}
