/** Services as svctl sees them, made up for tests. */
import type { Shown } from "../../src/report.ts";
import type { Status } from "../../src/status.ts";

export const PLAIN_STATUS: Status = {
  state: "up",
  wanted: "up",
  process: { pid: 812, started: 1_000 },
  finish: null,
  boot: "boot",
  pidns: "1",
  since: 1_000_000,
  first: null,
  ready: null,
  waited: 0,
  runs: 1,
  short: 0,
  exit: null,
  next: null,
  reason: null,
  logger: false,
};

/** One that is up, but for what is changed. */
export function shown(
  name: string,
  changes: Partial<Status> = {},
  waitingFor: string[] = [],
): Shown {
  return { name, status: { ...PLAIN_STATUS, ...changes }, waitingFor };
}
