/** runsyssv(1): the same scanner over one entry, in the foreground, for trying a script out. */
import { absolutePath, basename, dirname, getenv, quoteWord } from "./bytes.ts";
import { answeredHelp, err, Failure, parseOptions, UsageError } from "./cli.ts";
import { enterRuntimeEnvironment } from "./environment.ts";
import * as libc from "./libc.ts";
import { OneEntry } from "./oneentry.ts";
import { isServiceName } from "./rundir.ts";
import { supervise } from "./sysmgr.ts";

export const usage = `usage: runsyssv [-hVqv] [-r RUNDIR] FILE

Keep one service running, in the foreground.

  -r RUNDIR    directory of state (a private one, printed at start and removed at the end)
  -q           print errors only
  -v           print every decision
  -h, --help   print this
  -V           print the version
`;

export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args, {
    boolean: ["h", "V", "q", "v"],
    string: ["r"],
    alias: { h: "help", V: "version", q: "quiet", v: "verbose", r: "rundir" },
  });
  if (answeredHelp(options, usage)) return 0;
  const [file, more] = options.operands;
  if (file === undefined) throw new UsageError("a file is needed");
  if (more !== undefined) throw new UsageError(`unexpected argument ${more}`);
  enterRuntimeEnvironment();

  const path = absolutePath(file);
  const [sysdir, name] = [dirname(path), basename(path)];
  if (!isServiceName(name)) throw new Failure(`cannot run ${path}: not a name for a service`);
  const source = new OneEntry(sysdir, name);
  const target = source.inspect(name);
  if ("reason" in target) throw new Failure(`cannot run ${path}: ${target.reason}`);

  const given = options.value("r");
  const rundir = given === undefined ? privateDirectory() : absolutePath(given);
  const quiet = options.has("q");
  const words = ["svctl", "-d", sysdir, "-r", rundir, "status", name];
  if (!quiet) err(`runsyssv: try: ${words.map(quoteWord).join(" ")}\n`);
  const level = options.has("v") ? "debug" : quiet ? "error" : "info";
  const settings = { program: "runsyssv", level, nofile: null, sysdir } as const;
  try {
    return await supervise(source, rundir, settings);
  } finally {
    if (given === undefined) libc.rmdirat(libc.AT_FDCWD, rundir);
  }
}

/** A new directory that only we can enter: mkdir(2) fails for a name that is taken. */
function privateDirectory(): string {
  const parent = absolutePath(getenv("XDG_RUNTIME_DIR") || getenv("TMPDIR") || "/tmp");
  for (;;) {
    const path = `${parent}/runsyssv.${Math.random().toString(36).slice(2, 10)}`;
    const code = libc.mkdirat(libc.AT_FDCWD, path, 0o700);
    if (code === -libc.E.EXIST) continue;
    if (code < 0) throw new Failure(`cannot make ${path}: ${libc.strerror(code)}`);
    return path;
  }
}
