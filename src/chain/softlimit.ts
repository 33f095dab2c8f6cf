/** softlimit(8): runs a program with other soft resource limits. */

import { getopt } from "../log/arguments.ts";
import { chain, readOptions, run, type State, type Target, wrongUsage } from "./chain.ts";
import { MEMORY, RESOURCE, scanUnsigned } from "./limits.ts";

export const usage = `usage: softlimit [OPTION ...] PROGRAM [ARG ...]

Run a program with other soft resource limits; = stands for the hard limit.

  -a BYTES     address space
  -c BYTES     core files
  -d BYTES     data segment
  -f BYTES     files that are written
  -l BYTES     locked memory
  -m BYTES     the same as -a -d -l -s
  -o NUMBER    open descriptors
  -p NUMBER    processes of the user
  -r BYTES     resident memory
  -s BYTES     stack
  -t SECONDS   CPU time
  -h, --help   print this, if there is nothing else
`;

const NAME = "softlimit";
const USAGE =
  "softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] " +
  "[-l lockbytes] [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] " +
  "[-s stackbytes] [-t cpusecs] child";

const RESOURCES: Readonly<Record<string, readonly number[]>> = {
  a: [RESOURCE.AS],
  c: [RESOURCE.CORE],
  d: [RESOURCE.DATA],
  f: [RESOURCE.FSIZE],
  l: [RESOURCE.MEMLOCK],
  m: MEMORY,
  o: [RESOURCE.NOFILE],
  p: [RESOURCE.NPROC],
  r: [RESOURCE.RSS],
  s: [RESOURCE.STACK],
  t: [RESOURCE.CPU],
};

export function step(args: readonly string[], { limits }: State): Target {
  const program = readOptions(
    getopt(args, "a:c:d:f:l:m:o:p:r:s:t:"),
    (letter, value) => {
      const most = value === "=" ? null : scanUnsigned(value);
      if (most === null && value !== "=") throw wrongUsage(NAME, USAGE);
      for (const resource of RESOURCES[letter] ?? []) limits.setSoft(resource, most);
    },
    (wrong) => wrongUsage(NAME, USAGE, wrong),
  );
  if (program.length === 0) throw wrongUsage(NAME, USAGE);
  return run(NAME, program);
}

export const main = (args: string[]) => chain({ usage, step }, args);
