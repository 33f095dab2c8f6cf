/** pmtr(8): keeps the jobs of one configuration file running, and follows each edit of it. */
import { VERSION } from "../../config.ts";
import { absolutePath, dirname, parseCount } from "../bytes.ts";
import { complain, err, Failure, out, UsageError } from "../cli.ts";
import {
  closeInherited,
  enterRuntimeEnvironment,
  ownPath,
  serviceFileLimits,
} from "../environment.ts";
import * as libc from "../libc.ts";
import { getopt } from "../log/arguments.ts";
import { DETACHED, detach, redirectMessages, WORKS } from "./background.ts";
import type { Config } from "./pmtr/config.ts";
import { eject } from "./pmtr/eject.ts";
import { Manager, writePidfile } from "./pmtr/manager.ts";
import { openMessages } from "./pmtr/messages.ts";
import { claimPlace, placeFor } from "./pmtr/place.ts";
import { printConfig } from "./pmtr/printer.ts";
import { describeProblems, readConfig } from "./pmtr/read.ts";
import { SCANNER, main as scannerMain } from "./pmtr/scanner.ts";
import type { Context } from "./pmtr/script.ts";

const CONFIG = "/etc/pmtr.conf";

export const usage = `usage: pmtr [-hFItvV] [-c FILE] [-p FILE]
       pmtr [-c FILE] --eject DIR

Keep the jobs of a configuration file running, and follow each edit of it.

  -c FILE        configuration file (${CONFIG})
  -F             stay in the foreground
  -I             with -F: jobs inherit stdin, stdout and stderr, unless they say otherwise
  -p FILE        write the process id to FILE
  -t             test the configuration: print its errors, and exit
  -v             verbose messages; -vv shows what was parsed
  --eject DIR    write the jobs as service directories for sysmgr(8), and exit
  -h, --help     print this
  -V, --version  print the version
`;

type Options = {
  readonly conf: string;
  readonly pidfile: string | null;
  readonly eject: string | null;
  /** How often each letter was given. */
  readonly count: (letter: string) => number;
};

export async function main(args: string[]): Promise<number> {
  if (args[0] === SCANNER) return await scannerMain(args.slice(1));
  if (args[0] === DETACHED) return await keepRunning(parseOptions(args.slice(2)), args[1]);
  const options = parseOptions(args);
  if (options.count("h") || options.count("help")) out(usage);
  else if (options.count("V") || options.count("version")) out(`pmtr ${VERSION}\n`);
  else if (options.count("t")) return test(options);
  else if (options.eject !== null) eject(options.eject, readOrFail(options), contextOf(options));
  else if (options.count("F")) return await keepRunning(options);
  else return await goToBackground(options);
  return 0;
}

const LETTERS = "hFItvVc:p:";
const LONG = new Map([
  ["help", false],
  ["version", false],
  ["eject", true],
]);

function parseOptions(args: readonly string[]): Options {
  const { options, rest, wrong } = getopt(args, LETTERS, LONG);
  if (wrong !== null) throw new UsageError(wrong);
  const [operand] = rest;
  if (operand !== undefined) throw new UsageError(`unexpected argument ${operand}`);
  const path = (name: string) => {
    const value = options.findLast(([n]) => n === name)?.[1];
    return value === undefined ? null : absolutePath(value);
  };
  return {
    conf: path("c") ?? CONFIG,
    pidfile: path("p"),
    eject: path("eject"),
    count: (letter) => options.filter(([name]) => name === letter).length,
  };
}

/** -t: all errors, each with its line; the exit status tells whether there are any. */
function test({ conf, count }: Options): number {
  const found = readConfig(conf);
  const problems =
    "reason" in found ? [`cannot read ${conf}: ${found.reason}`] : describeProblems(conf, found);
  for (const problem of problems) complain("pmtr", problem);
  if (problems.length > 0) complain("pmtr", "parse failed");
  else if (count("v") > 1 && "config" in found) out(printConfig(found.config));
  return problems.length > 0 ? 1 : 0;
}

/** For those who can do nothing without it. Throws Failure after it has said all. */
function readOrFail({ conf }: Options): Config {
  const found = readConfig(conf);
  if ("reason" in found) throw new Failure(`cannot read ${conf}: ${found.reason}`);
  for (const problem of describeProblems(conf, found)) complain("pmtr", problem);
  if (found.problems.length > 0) throw new Failure(`parse failed: ${conf}`);
  return found.config;
}

/** The links to our binary stand side by side. */
function contextOf(options: Options, background = false): Context {
  const cwd = background ? "/" : libc.readLink("/proc/self/cwd");
  return {
    chpst: [`${dirname(ownPath() ?? "/usr/bin/pmtr")}/chpst`],
    cwd: typeof cwd === "string" ? cwd : "/",
    inherit: !background && options.count("I") > 0,
  };
}

async function goToBackground(options: Options): Promise<number> {
  readOrFail(options);
  const { conf, pidfile, count } = options;
  const verbose = Array<string>(count("v")).fill("-v");
  const pid = pidfile === null ? [] : ["-p", pidfile];
  return await detach("pmtr", ["-c", conf, ...pid, ...verbose]);
}

/** `nofile`: from who has put us into the background. */
async function keepRunning(options: Options, nofile?: string): Promise<number> {
  const background = nofile !== undefined;
  closeInherited();
  enterRuntimeEnvironment();
  libc.setProcessName("pmtr");
  const { conf, pidfile, count } = options;
  readOrFail(options);
  const place = placeFor(conf);
  await claimPlace(place);
  const written = pidfile === null ? 0 : writePidfile(pidfile);
  if (written < 0) throw new Failure(`cannot write ${pidfile}: ${libc.strerror(written)}`);
  const level = count("v") > 0 ? "debug" : "info";
  const context = contextOf(options, background);
  const manager = new Manager(
    place,
    {
      conf,
      pidfile,
      context,
      scanner: {
        level,
        nofile: parseCount(nofile ?? "") ?? serviceFileLimits(null).soft,
        inherit: context.inherit,
      },
      showParsed: count("v") > 1,
    },
    openMessages(!background, level),
  );
  return await manager.run(() => {
    if (!background) return;
    err(WORKS);
    redirectMessages(null);
  });
}
