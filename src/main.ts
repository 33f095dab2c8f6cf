/**
 * The basename of argv[0] picks the program; `sysmgr NAME ...` does where a link is not wanted.
 * A name that is no program's is followed through its links: /etc/init.d/web -> sv.
 */
import { basename, commandLine, dirname, escapeBytes } from "./bytes.ts";
import "./core.ts";
import { complain, Failure, UsageError } from "./cli.ts";
import { ownPath } from "./environment.ts";
import { readLink } from "./libc.ts";
import { choose, isProgram, programs } from "./programs.ts";

/** As many as the kernel follows: argv[0] may name anything, a loop, too. */
const MOST_LINKS = 40;

const [calledAs = "sysmgr", ...given] = commandLine();
const { name, args } = choose([programOf(calledAs), ...given]);
run(name, args).then(process.exit);

function programOf(called: string): string {
  if (isProgram(basename(called))) return called;
  let path = ownPath();
  for (let links = 0; path !== null && links < MOST_LINKS; links++) {
    const target = readLink(path);
    if (typeof target !== "string") break;
    if (isProgram(basename(target))) return target;
    path = target.startsWith("/") ? target : `${dirname(path)}/${target}`;
  }
  return "sysmgr";
}

async function run(name: string, args: string[]): Promise<number> {
  try {
    const program = programs[name];
    if (!program) throw new Failure(`no such program: ${name}`);
    return await (await program.load()).main(args);
  } catch (error) {
    if (error instanceof UsageError) {
      complain(name, `${escapeBytes(error.message)} (${name} -h for help)`);
      return 2;
    }
    if (error instanceof Failure) {
      complain(name, escapeBytes(error.message));
      return error.exitCode;
    }
    throw error;
  }
}
