/** Services as svctl sees them, made up for tests. */
import type { Shown } from "../../src/report.ts";
import { BLANK, type Status } from "../../src/status.ts";

export const PLAIN_STATUS: Status = {
  ...BLANK,
  state: "up",
  wanted: "up",
  process: { pid: 812, started: 1_000 },
  boot: "boot",
  pidns: "1",
  since: 1_000_000,
  runs: 1,
};

/** One that is up, but for what is changed. */
export function shown(
  name: string,
  changes: Partial<Status> = {},
  waitingFor: string[] = [],
): Shown {
  return { name, status: { ...PLAIN_STATUS, ...changes }, waitingFor };
}
