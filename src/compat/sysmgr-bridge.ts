/**
 * sysmgr-bridge(8): shows services as runsv and supervise do, to those who know these.
 *
 * For each service directory it keeps SERVICE/supervise: pid, stat and status tell what RUNDIR
 * tells, ok can be opened for writing while the service is supervised, and the letters that are
 * written to control become requests in the drop box, one after the other. It is a client of the
 * file protocol like any other, and woken by inotify only.
 *
 * It ends with the supervisor that it began with; who keeps it (frontend.ts, or sysmgr itself)
 * begins it again. That makes every trouble simple: RUNDIR removed, another supervisor, a bug.
 */
import { answeredHelp, Failure, parseOptions, UsageError } from "../cli.ts";
import { directories } from "../directories.ts";
import { enterRuntimeEnvironment } from "../environment.ts";
import * as libc from "../libc.ts";
import { RunDir } from "../rundir.ts";
import { Bridge, PROGRAM } from "./bridge.ts";

export const usage = `usage: sysmgr-bridge [-hVx] [-f FORMAT] [-d SYSDIR] [-r RUNDIR]

Keep SERVICE/supervise for the clients of runit and daemontools.

  -f FORMAT    runit or daemontools: whose status file to write (runit)
  -x           the command x ends the supervisor, not only the service
  -d SYSDIR    directory of services (environment SYSDIR)
  -r RUNDIR    directory of state (environment RUNDIR)
  -h, --help   print this
  -V           print the version
`;

export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args, {
    boolean: ["h", "V", "x"],
    string: ["f", "d", "r"],
    alias: { h: "help", V: "version", d: "sysdir", r: "rundir" },
  });
  if (answeredHelp(options, usage)) return 0;
  const [operand] = options.operands;
  if (operand !== undefined) throw new UsageError(`unexpected argument ${operand}`);
  const format = options.value("f") ?? "runit";
  if (format !== "runit" && format !== "daemontools") {
    throw new UsageError(`-f: neither runit nor daemontools: ${format}`);
  }
  enterRuntimeEnvironment();
  libc.setProcessName(PROGRAM);
  const { sysdir, rundir: path } = directories(options);
  const rundir = RunDir.open(path);
  if (typeof rundir === "number")
    throw new Failure(`cannot open ${path}: ${libc.strerror(rundir)}`);
  const supervisor = rundir.supervisor();
  if (supervisor === null) throw new Failure(`no sysmgr works on ${path}`);
  return await new Bridge(sysdir, rundir, format, options.has("x")).run(supervisor);
}
