/** tai64nfrac(8): writes timestamps as seconds since the epoch. */

import { askedForHelp } from "./arguments.ts";
import { convert } from "./convert.ts";

export const usage = `usage: tai64nfrac

Copy standard input; a TAI64N timestamp at the beginning of a line becomes seconds since 1970,
with nine digits after the point.

  -h, --help   print this
`;

/** Nothing for times before 1970, as nobody has logs of them: those lines stay as they are. */
const sinceEpoch = (seconds: bigint) => (seconds < 0n ? null : String(seconds));

export function main(args: string[]): number {
  return askedForHelp(args, usage) ? 0 : convert(sinceEpoch);
}
