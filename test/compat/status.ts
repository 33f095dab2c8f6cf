/** A status as sysmgr might have written it. */
import type { Status } from "../../src/status.ts";

export function status(changes: Partial<Status> = {}): Status {
  return {
    state: "down",
    wanted: "down",
    process: null,
    finish: null,
    boot: "",
    pidns: "",
    since: Date.now(),
    first: null,
    ready: null,
    waited: 0,
    runs: 0,
    short: 0,
    exit: null,
    next: null,
    reason: null,
    logger: false,
    ...changes,
  };
}
