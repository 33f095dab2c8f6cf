/** The basename of argv[0] picks the program; `sysmgr NAME ...` does where a link is not wanted. */
import { basename, commandLine, escapeBytes } from "./bytes.ts";
import { complain, Failure, UsageError } from "./cli.ts";
import { programs } from "./programs.ts";

const [calledAs = "sysmgr", ...given] = commandLine();
const { name, args } = choose(basename(calledAs), given);
run(name, args).then(process.exit);

function choose(called: string, args: string[]): { name: string; args: string[] } {
  if (called !== "sysmgr" && Object.hasOwn(programs, called)) return { name: called, args };
  const [first = "", ...rest] = args;
  return Object.hasOwn(programs, first) ? { name: first, args: rest } : { name: "sysmgr", args };
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
