/** sv(8): runit's client, as a client of the file protocol. */
import { SVWAIT_SECONDS, SYSDIR, VERSION } from "../../config.ts";
import { basename, commandLine, getenv } from "../bytes.ts";
import { err, out } from "../cli.ts";
import * as libc from "../libc.ts";
import { askedForHelp, getopt, leadingNumber, WrongUsage } from "../log/arguments.ts";
import { programs } from "../programs.ts";
import { Client, type Invocation } from "./client.ts";
import { parseAction } from "./words.ts";

export const usage = `usage: sv [-v] [-w SECONDS] COMMAND SERVICE ...
       /etc/init.d/SERVICE [-w SECONDS] COMMAND

Control services, and show their status.

  status                       print it
  up down once exit            as they say; exit stops the logger, too
  pause cont hup alarm interrupt quit 1 2 term kill
                               send that signal
  start stop reload restart shutdown try-restart
                               the same, and wait for the effect
  force-stop force-reload force-restart force-shutdown
                               the same; when the time is over, KILL
  check                        wait until it runs, and its check succeeds

  -v             wait for the effect, and report it
  -w SECONDS     wait so long (environment SVWAIT; ${SVWAIT_SECONDS}); implies -v
  -h, --help     print this
  -V             print the version

Names are looked for in the environment's SVDIR, else in /etc/service, else in SYSDIR.

Exit status: the number of services with trouble, 99 at most; 100 wrong usage. As an init
script: 1 trouble; 2 wrong usage; status: 3 down, 4 unknown.
`;

const SERVICES = "/etc/service";

export async function main(args: string[]): Promise<number> {
  if (askedForHelp(args, usage)) return 0;
  const script = scriptName(args);
  const invocation = parse(args, script);
  if (typeof invocation === "number") return invocation;
  return await new Client(invocation).run();
}

/** The name of an init script that leads here, or null. */
function scriptName(args: readonly string[]): string | null {
  const [path = "", ...rest] = commandLine();
  const called = basename(path);
  // `sysmgr sv`, by whatever link to sysmgr, has our name among its arguments.
  const named = rest.length > args.length || Object.hasOwn(programs, called);
  return named || called === "" ? null : called;
}

/** A number: there is nothing to do, and that is the exit code. */
function parse(args: readonly string[], script: string | null): Invocation | number {
  let [seconds, verbose] = [leadingNumber(getenv("SVWAIT") ?? `${SVWAIT_SECONDS}`), false];
  try {
    const { options, rest, wrong } = getopt(args, "w:vV");
    for (const [letter, value] of options) {
      verbose = true;
      if (letter === "w") seconds = leadingNumber(value);
      if (letter !== "V") continue;
      out(`sv ${VERSION}\n`);
      return 0;
    }
    if (wrong !== null) throw new WrongUsage(wrong);
    const [word, ...operands] = rest;
    const names = script === null ? operands : [script];
    const action = word === undefined ? null : parseAction(word, script !== null);
    if (!action || names.length === 0) throw new WrongUsage();
    const services = names.map((label) => ({ label, path: pathOf(label) }));
    const waits = verbose || action.waits;
    return { action, services, asScript: script !== null, waits, patience: seconds * 1000 };
  } catch (error) {
    if (!(error instanceof WrongUsage)) throw error;
    return wrongUsage(script, error.message);
  }
}

function wrongUsage(script: string | null, message: string): number {
  const name = script ?? "sv";
  if (message !== "") err(`${name}: ${message}\n`);
  const rest = script === null ? " [-v] [-w sec] command service ..." : " [-w sec] command";
  err(`usage: ${name}${rest}\n\n`);
  return script === null ? 100 : 2;
}

/** Where a name is looked for: what begins with a dot or a slash, or ends with one, is a path. */
function pathOf(name: string): string {
  const directory = getenv("SVDIR") ?? (exists(SERVICES) ? SERVICES : getenv("SYSDIR") || SYSDIR);
  if (name === "" || /^[./]|\/$/.test(name)) return name;
  return directory === "" ? "" : `${directory}/${name}`;
}

function exists(path: string): boolean {
  return typeof libc.stat(path) !== "number";
}
