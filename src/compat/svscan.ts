/** svscan(8): the scanner over a directory of services, as daemontools has it. */
import { absolutePath } from "../bytes.ts";
import { err, Failure } from "../cli.ts";
import { enterRuntimeEnvironment } from "../environment.ts";
import * as libc from "../libc.ts";
import { askedForHelp } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { dieBy, makeRundir, realPath, runFrontEnd, ServiceDirectories } from "./frontend.ts";

export const usage = `usage: svscan [DIR]

Keep the service in every subdirectory of DIR, or of this directory, running.

  -h, --help   print this, if it is the only argument

TERM ends svscan and leaves the services running.
`;

const TERMINATED = 128 + libc.SIGNALS.TERM;

export async function main(args: string[]): Promise<number> {
  if (askedForHelp(args, usage)) return 0;
  const [directory] = args;
  enterRuntimeEnvironment();
  try {
    const code = await scan(directory ?? ".");
    return code === TERMINATED ? dieBy(libc.SIGNALS.TERM) : code;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    err(`svscan: fatal: ${error.message}\n`);
    return 111;
  }
}

function scan(directory: string): Promise<number> {
  const sysdir = absolutePath(directory);
  const real = realPath(directory);
  if (typeof real === "number") {
    throw new Failure(`unable to chdir to ${directory}: ${reason(real)}`);
  }
  return runFrontEnd({
    program: "svscan",
    sysdir,
    rundir: makeRundir(real),
    source: new ServiceDirectories(sysdir, "daemontools"),
    format: "daemontools",
    alone: false,
    signals: { SIGTERM: { services: "leave", code: TERMINATED } },
  });
}
