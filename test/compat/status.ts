/** A status as sysmgr might have written it. */
import { BLANK, type Status } from "../../src/status.ts";

export function status(changes: Partial<Status> = {}): Status {
  return { ...BLANK, since: Date.now(), ...changes };
}
