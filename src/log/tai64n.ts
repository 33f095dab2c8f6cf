/** tai64n(8): puts a timestamp in front of each line. */
import { askedForHelp } from "./arguments.ts";
import { filter } from "./filter.ts";
import { STAMP, Stamp } from "./label.ts";
import { READ_SIZE } from "./reader.ts";

export const usage = `usage: tai64n

Copy standard input, with a TAI64N timestamp in front of each line.

  -h, --help   print this
`;

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  return filter({ limit: 1, before: STAMP, size: READ_SIZE }, STAMP, (arena, output) => {
    const stamp = new Stamp(arena.bytes, arena.take(STAMP), "label");
    return {
      stamp,
      line(from, to, whole) {
        stamp.before(from);
        output.put(from - STAMP, whole ? to + 1 : to);
      },
      more: (from, to) => output.put(from, to),
    };
  });
}
