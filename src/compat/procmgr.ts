/** procmgr(1): programs with actions, which are asked for by name, and allowed by user and group. */
import { PROCMGR_CONFFILE, VERSION } from "../../config.ts";
import { absolutePath, dirname, getenv, parseCount } from "../bytes.ts";
import { complain, Failure, type Options, out, parseOptions, UsageError } from "../cli.ts";
import {
  closeInherited,
  enterRuntimeEnvironment,
  ownPath,
  serviceFileLimits,
} from "../environment.ts";
import { putFile } from "../files.ts";
import * as libc from "../libc.ts";
import { SIGNALS } from "../libc.ts";
import type { Level } from "../transition.ts";
import { DETACHED, detach, redirectMessages } from "./background.ts";
import { request } from "./procmgr/client.ts";
import type { Config } from "./procmgr/config.ts";
import { describeProblems, isUsable, readConfig } from "./procmgr/config-file.ts";
import { Daemon, type DaemonOptions } from "./procmgr/daemon.ts";
import { eject } from "./procmgr/eject.ts";
import { isLaunch, main as launch } from "./procmgr/launch.ts";
import { Parent } from "./procmgr/parent.ts";
import { claimPlace, findDaemon, type Place, placeFor } from "./procmgr/place.ts";
import { SUPERVISE, main as superviseMain } from "./procmgr/supervisor.ts";

export const usage = `usage: procmgr [-hV] [-c CONFFILE] [-d [-f] [-A|-a GROUP] [-l FILE] [-L LEVEL] [-P FILE]]
       procmgr [-c CONFFILE] -t|-s|-r|-0
       procmgr [-c CONFFILE] PROGRAM ACTION [ARG ...]
       procmgr [-c CONFFILE] --eject DIR

Have an action of a program done: start, restart, reload, signal, stop or status.

  -c, --config FILE      configuration (environment PROCMGR_CONFFILE; ${PROCMGR_CONFFILE})
  -d, --daemon           be the daemon
  -f, --foreground       with -d: stay in the foreground
  -a, --autostart GROUP  with -d: start the programs of that group, not of do-autostart
  -A, --no-autostart     with -d: start none
  -l, --log FILE         with -d: append messages to FILE
  -L, --loglevel LEVEL   with -d: DEBUG, INFO, NOTE, WARN, ERROR, CRITICAL or FATAL
  -P, --pidfile FILE     with -d: write the process id to FILE
  -t, --test             exit with 0 if the daemon runs, else with 1
  -s, --stop             have the daemon stop all programs and end
  -r, --reload           have the daemon read its configuration again
  -0, --check            check the configuration, and do nothing
  --eject DIR            write the programs as service directories for sysmgr(8)
  -h, --help             print this
  -V, --version          print the version
`;

export async function main(args: string[]): Promise<number> {
  if (isLaunch(args[0])) return await launch(args);
  if (args[0] === SUPERVISE) return await superviseMain(args.slice(1));
  const detached = args[0] === DETACHED;
  const options = parseOptions(detached ? args.slice(2) : args, {
    boolean: ["h", "V", "d", "f", "A", "t", "s", "r", "0"],
    string: ["c", "a", "l", "L", "P", "eject"],
    alias: {
      h: "help",
      V: "version",
      c: "config",
      d: "daemon",
      f: "foreground",
      t: "test",
      s: "stop",
      r: "reload",
      a: "autostart",
      A: "no-autostart",
      l: "log",
      L: "loglevel",
      P: "pidfile",
      "0": "check",
    },
    stopEarly: true,
  });
  if (options.has("h")) out(usage);
  else if (options.has("V")) out(`procmgr ${VERSION}\n`);
  else return await act(options, detached ? args[1] : undefined);
  return 0;
}

const MODES = ["d", "t", "s", "r", "0"] as const;

async function act(options: Options, nofile?: string): Promise<number> {
  const conf = absolutePath(options.value("c") ?? (getenv("PROCMGR_CONFFILE") || PROCMGR_CONFFILE));
  const [mode, second] = [
    ...MODES.filter((m) => options.has(m)),
    ...(options.value("eject") ? ["eject"] : []),
  ];
  if (second !== undefined) throw new UsageError(`-${mode} and -${second} exclude each other`);
  if (options.has("f") && mode !== "d") throw new UsageError("-f goes with -d only");
  const [program, action, ...rest] = options.operands;
  if (mode !== undefined && program !== undefined)
    throw new UsageError(`unexpected argument ${program}`);
  if (mode === "d") return await daemon(options, conf, nofile);
  const config = readOrFail(conf, mode === "0");
  const place = placeFor(config.socket);
  if (mode === "0") return 0;
  if (mode === "t") return test(place);
  if (mode === "s") return await stop(place);
  if (mode === "r") return tell(place, SIGNALS.HUP);
  const dir = options.value("eject");
  if (dir !== undefined) {
    eject(absolutePath(dir), config, `${dirname(ownPath() ?? "/usr/bin/procmgr")}/chpst`);
    return 0;
  }
  if (program === undefined || action === undefined) {
    throw new UsageError("a program and an action are needed");
  }
  return request(place, program, action, rest);
}

/** Throws Failure after all errors were told; `all`: the warnings, too. */
function readOrFail(conf: string, all: boolean): Config {
  const found = readConfig(conf);
  if ("reason" in found) throw new Failure(`cannot read ${conf}: ${found.reason}`);
  const told = found.problems.filter(({ fatal }) => all || fatal);
  for (const problem of describeProblems(conf, told)) complain("procmgr", problem);
  if (!isUsable(found)) throw new Failure(`cannot use ${conf}`);
  return found.config;
}

function test(place: Place): number {
  const runs = findDaemon(place) !== null;
  out(runs ? "running\n" : "not running\n");
  return runs ? 0 : 1;
}

/** Signals the daemon; returns the exit code. Throws Failure if there is none. */
function tell(place: Place, signal: number): number {
  const daemon = findDaemon(place);
  const pidfd = daemon ? libc.pidfdOpen(daemon.pid) : -libc.E.SRCH;
  // Asked once more while the descriptor holds it: it is that very process.
  const same = pidfd >= 0 && findDaemon(place)?.pid === daemon?.pid;
  const code = same ? libc.pidfdKill(pidfd, signal) : -libc.E.SRCH;
  if (pidfd >= 0) libc.close(pidfd);
  if (code === -libc.E.SRCH) throw new Failure(`no daemon works at ${place.socket}`);
  if (code < 0) throw new Failure(`cannot signal the daemon: ${libc.strerror(code)}`);
  return 0;
}

/** How often is looked whether the daemon has ended. */
const LOOK = 20;

/** Resolves when it has ended. */
async function stop(place: Place): Promise<number> {
  const daemon = findDaemon(place);
  const code = tell(place, SIGNALS.TERM);
  while (findDaemon(place)?.pid === daemon?.pid) await Bun.sleep(LOOK);
  return code;
}

const LEVELS: Readonly<Record<string, Level>> = {
  DEBUG: "debug",
  INFO: "info",
  NOTE: "info",
  WARN: "error",
  ERROR: "error",
  CRITICAL: "error",
  FATAL: "error",
};

function levelOf(options: Options): Level {
  const word = options.value("L") ?? "INFO";
  const level = LEVELS[word.toUpperCase()];
  if (level === undefined) throw new UsageError(`-L: no such level: ${word}`);
  return level;
}

/** `nofile`: from who has put us into the background. */
async function daemon(options: Options, conf: string, nofile?: string): Promise<number> {
  const level = levelOf(options);
  if (options.has("A") && options.value("a")) throw new UsageError("-A and -a exclude each other");
  const config = readOrFail(conf, !nofile);
  const path = (name: string) => {
    const text = options.value(name);
    return text === undefined ? null : absolutePath(text);
  };
  const [log, pidfile, group] = [path("l"), path("P"), options.value("a")];
  if (nofile === undefined && !options.has("f")) {
    const given = (letter: string, value: string | null) => (value === null ? [] : [letter, value]);
    return await detach("procmgr", [
      ...["-d", "-c", conf, "-L", options.value("L") ?? "INFO"],
      ...given("-l", log),
      ...given("-P", pidfile),
      ...given("-a", group ?? null),
      ...(options.has("A") ? ["-A"] : []),
    ]);
  }
  enterRuntimeEnvironment();
  libc.setProcessName("procmgr");
  const limit = parseCount(nofile ?? "") ?? serviceFileLimits(null).soft;
  const autostart = group !== undefined ? { group } : options.has("A") ? "none" : "configured";
  const parent = nofile === undefined ? null : new Parent();
  closeInherited();
  const umask = process.umask(0o022);
  try {
    return await work(
      config,
      { conf, pidfile, nofile: limit, umask, level, autostart },
      log,
      parent,
    );
  } catch (error) {
    if (error instanceof Failure) parent?.tell(`procmgr: ${error.message}\n`);
    throw error;
  }
}

async function work(
  config: Config,
  options: DaemonOptions,
  log: string | null,
  parent: Parent | null,
): Promise<number> {
  const place = placeFor(config.socket);
  claimPlace(place);
  if (log !== null || parent) redirectMessages(log);
  const { pidfile } = options;
  const written = pidfile === null ? 0 : putFile(pidfile, `${process.pid}\n`);
  if (written < 0) throw new Failure(`cannot write ${pidfile}: ${libc.strerror(written)}`);
  return await new Daemon(place, options, config).run(() => parent?.release());
}
