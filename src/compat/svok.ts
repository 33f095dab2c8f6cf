/** svok(8): is a service directory supervised? */
import { err } from "../cli.ts";
import { E } from "../libc.ts";
import { askedForHelp } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { findService, whyNotDirectory } from "./condition.ts";
import { Places } from "./places.ts";

export const usage = `usage: svok SERVICE

Exit with 0 if the service in this directory is supervised, with 100 if it is not.

  -h, --help   print this
`;

/** What the original says to wrong usage, to the letter. */
const WRONG_USAGE = "svok: usage: svok dir\n";

const NOT_SUPERVISED = 100;
const TROUBLE = 111;

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  const [path] = args;
  if (path === undefined) {
    err(WRONG_USAGE);
    return 100;
  }
  const places = new Places();
  const missing = whyNotDirectory(places, path);
  if (missing < 0) return trouble(`unable to chdir to ${path}`, missing);
  const found = findService(places, path);
  if (typeof found !== "number") return 0;
  if (found === -E.NOENT || found === -E.NXIO) return NOT_SUPERVISED;
  return trouble(`unable to open ${path}/supervise/ok`, found);
}

function trouble(text: string, code: number): number {
  err(`svok: fatal: ${text}: ${reason(code)}\n`);
  return TROUBLE;
}
