/** The basename of argv[0] picks the program; `sysmgr NAME ...` does where a link is not wanted. */
import { commandLine, escapeBytes } from "./bytes.ts";
import { complain, Failure, UsageError } from "./cli.ts";
import { choose, programs } from "./programs.ts";

const { name, args } = choose(commandLine());
run(name, args).then(process.exit);

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
