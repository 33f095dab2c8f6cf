/** tai64nlocal(8): writes timestamps so that people can read them. */
import * as libc from "../libc.ts";
import { askedForHelp } from "./arguments.ts";
import { convert } from "./convert.ts";

export const usage = `usage: tai64nlocal

Copy standard input; a TAI64N timestamp at the beginning of a line becomes local time.

  -h, --help   print this
`;

function local(seconds: bigint): string | null {
  const time = libc.localTime(seconds);
  if (!time) return null;
  const two = (n: number) => String(n).padStart(2, "0");
  // The original prints the year without a sign.
  const year = BigInt.asUintN(64, BigInt(1900 + time.year));
  const date = `${year}-${two(time.month + 1)}-${two(time.day)}`;
  return `${date} ${two(time.hour)}:${two(time.minute)}:${two(time.second)}`;
}

export function main(args: string[]): number {
  return askedForHelp(args, usage) ? 0 : convert(local);
}
