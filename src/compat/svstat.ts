/** svstat(8): daemontools' status of services, from the file protocol. */
import { out } from "../cli.ts";
import { E } from "../libc.ts";
import { askedForHelp } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import type { Status } from "../status.ts";
import { conditionOf, findService, isNormallyUp, whyNotDirectory } from "./condition.ts";
import { Places } from "./places.ts";

export const usage = `usage: svstat SERVICE ...

Print a line about the service in each of these directories.

  -h, --help   print this
`;

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  const places = new Places();
  for (const path of args) out(`${path}: ${describe(places, path)}\n`);
  return 0;
}

function describe(places: Places, path: string): string {
  const missing = whyNotDirectory(places, path);
  if (missing < 0) return `unable to chdir: ${reason(missing)}`;
  const normallyUp = isNormallyUp(path);
  if (typeof normallyUp === "number") return `unable to stat down: ${reason(normallyUp)}`;
  const found = findService(places, path);
  if (found === -E.NXIO) return "supervise not running";
  if (typeof found === "number") return `unable to open supervise/ok: ${reason(found)}`;
  return describeStatus(found.status, normallyUp);
}

/** What runs once is wanted neither up nor down. */
function describeStatus(status: Status, normallyUp: boolean): string {
  const { pid, seconds, paused } = conditionOf(status);
  const { wanted } = status;
  let text = `${pid > 0 ? `up (pid ${pid})` : "down"} ${seconds} seconds`;
  if (pid > 0 && !normallyUp) text += ", normally down";
  if (pid === 0 && normallyUp) text += ", normally up";
  if (paused) text += ", paused";
  if (pid === 0 && wanted === "up") text += ", want up";
  if (pid > 0 && wanted === "down") text += ", want down";
  return text;
}
