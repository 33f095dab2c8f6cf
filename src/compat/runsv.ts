/** runsv(8): one service, and its logger, as runit has it. */
import { err, Failure } from "../cli.ts";
import { enterRuntimeEnvironment } from "../environment.ts";
import { askedForHelp } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { calledAs, runFrontEnd } from "./frontend.ts";
import { openSingle } from "./single.ts";

export const usage = `usage: runsv DIR

Keep the service in the directory DIR, and its logger, running.

  -h, --help   print this, if it is the only argument

TERM stops the service, and then runsv exits.
`;

const SYNOPSIS = "dir\n\n";

export async function main(args: string[]): Promise<number> {
  if (askedForHelp(args, usage)) return 0;
  const [directory, more] = args;
  if (directory === undefined || more !== undefined) {
    err(`usage: ${calledAs("runsv")} ${SYNOPSIS}`);
    return 1;
  }
  enterRuntimeEnvironment();
  try {
    const { sysdir, rundir, source } = openSingle(directory, "runit", {
      chdir: (code) => `unable to change to directory: ${reason(code)}`,
      lock: (code) => `unable to lock supervise/lock: ${reason(code)}`,
    });
    const signals = {};
    const frontEnd = { program: "runsv", sysdir, rundir, source, alone: true, signals };
    return await runFrontEnd({ ...frontEnd, format: "runit" });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    err(`runsv ${directory}: fatal: ${error.message}\n`);
    return 111;
  }
}
