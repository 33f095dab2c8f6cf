/** supervise(8): one service, as daemontools has it. */
import { err, Failure } from "../cli.ts";
import { enterRuntimeEnvironment } from "../environment.ts";
import * as libc from "../libc.ts";
import { askedForHelp } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { dieBy, runFrontEnd } from "./frontend.ts";
import { openSingle } from "./single.ts";

export const usage = `usage: supervise DIR

Keep the service in the directory DIR running.

  -h, --help   print this, if it is the only argument

TERM ends supervise and leaves the service running; svc -dx stops both.
`;

const SYNOPSIS = "supervise: usage: supervise dir\n";
const TERMINATED = 128 + libc.SIGNALS.TERM;

export async function main(args: string[]): Promise<number> {
  if (askedForHelp(args, usage)) return 0;
  const [directory, more] = args;
  if (directory === undefined || more !== undefined) {
    err(SYNOPSIS);
    return 100;
  }
  enterRuntimeEnvironment();
  try {
    const { sysdir, rundir, source } = openSingle(directory, "daemontools", {
      chdir: (code) => `unable to chdir to ${directory}: ${reason(code)}`,
      lock: (code) => `unable to acquire ${directory}/supervise/lock: ${reason(code)}`,
    });
    const signals = { SIGTERM: { services: "leave", code: TERMINATED } } as const;
    const frontEnd = { program: "supervise", sysdir, rundir, source, alone: true, signals };
    const code = await runFrontEnd({ ...frontEnd, format: "daemontools" });
    return code === TERMINATED ? dieBy(libc.SIGNALS.TERM) : code;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    err(`supervise: fatal: ${error.message}\n`);
    return 111;
  }
}
