/** readproctitle(8): keeps the last of what it reads where ps(1) shows it, in its arguments. */
import * as libc from "../libc.ts";
import { askedForHelp } from "./arguments.ts";
import { READ_SIZE } from "./reader.ts";

export const usage = `usage: readproctitle WORD ... DOTS

Read standard input into the last argument, as far as there is room for it.

  -h, --help   print this
`;

/** Always left, at the beginning. */
const DOTS = 3;
const DOT = 0x2e;
const SHORTEST = 5;

/**
 * Where an argument lies in memory, as ps(1) shows it: so long, and so many bytes before the end
 * of all of them, which /proc/self/stat tells.
 */
export function argumentMemory(length: number, before = 0): Uint8Array | null {
  const stat = libc.readFile("/proc/self/stat");
  if (typeof stat !== "string") return null;
  // From the third field on: the second one may have blanks. arg_end is the 49th.
  const end = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[46]);
  const last = end - 1 - before;
  return end > 0 ? libc.memory(last - length, last) : null;
}

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  const length = args.at(-1)?.length ?? 0;
  if (length < SHORTEST) return 100;
  const title = argumentMemory(length);
  if (!title) return 111;
  title.fill(DOT);

  const input = new Uint8Array(new ArrayBuffer(READ_SIZE));
  for (;;) {
    const n = libc.readBytes(0, input, 0, input.length);
    if (n === -libc.E.INTR) continue;
    if (n <= 0) return n === 0 ? 0 : 111;
    // A NUL would end the argument.
    const text = input.subarray(0, n).filter((byte) => byte !== 0);
    const fresh = text.subarray(Math.max(0, text.length - (length - DOTS)));
    title.copyWithin(DOTS, DOTS + fresh.length);
    title.set(fresh, length - fresh.length);
  }
}
