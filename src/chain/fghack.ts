/** fghack(8): stays as long as any process that a program has left behind. */
import { environment, escapeBytes, getenv } from "../bytes.ts";
import { err } from "../cli.ts";
import { serviceFileLimits } from "../environment.ts";
import * as libc from "../libc.ts";
import { E } from "../libc.ts";
import { askedForHelp } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { candidates, FATAL, search, WRONG } from "./chain.ts";
import { Descriptors } from "./descriptors.ts";

export const usage = `usage: fghack PROGRAM [ARG ...]

Run a program, and wait until it has ended and so has every process that still
has one of the descriptors it was given.

  -h, --help   print this, if there is nothing else
`;

/** More than any daemon closes one by one. */
const DESCRIPTORS = 31;

function fatal(words: string): number {
  err(`fghack: fatal: ${words}\n`);
  return FATAL;
}

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  const [file] = args;
  if (file === undefined) {
    err("fghack: usage: fghack child\n");
    return WRONG;
  }
  // Before we open anything ourselves.
  const descriptors = new Descriptors();
  const pipe = libc.pipe(0);
  if (typeof pipe === "number") return fatal(`unable to create pipe: ${reason(pipe)}`);
  const pid = start(file, args, pipe.write, descriptors);
  if (pid < 0) return fatal(`unable to run ${escapeBytes(file)}: ${reason(pid)}`);
  libc.close(pipe.write);
  drain(pipe.read);

  const status = libc.waitFor(pid);
  if (typeof status === "number") return fatal(`wait failed: ${reason(status)}`);
  return status.code ?? fatal("child crashed");
}

/** Under the numbers that are free, and all that we were given under their own. */
function start(
  file: string,
  argv: readonly string[],
  end: number,
  descriptors: Descriptors,
): number {
  const limits = serviceFileLimits(null);
  const given = descriptors.numbers.map((fd) => [fd, fd] as const);
  const ends = descriptors.free(DESCRIPTORS).filter((fd) => fd < limits.soft);
  const request = {
    argv,
    env: new libc.Strings(environment()),
    fds: [...given, ...ends.map((fd) => [end, fd] as const)],
    limits,
    umask: process.umask(),
    sameSession: true,
  };
  return search(candidates(file, getenv("PATH")), (path) => libc.spawn({ ...request, path }));
}

/** Until nobody can write to it any more. */
function drain(fd: number): void {
  const bytes = new Uint8Array(new ArrayBuffer(4_096));
  for (;;) {
    const n = libc.readBytes(fd, bytes, 0, bytes.length);
    if (n <= 0 && n !== -E.INTR) return;
  }
}
