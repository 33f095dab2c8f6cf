/** Who may do what. */
import type { Action, Program } from "./config.ts";

/** Root may do everything; others what a user or a group of theirs is named for. */
export function isAllowed(program: Program, action: Action, uid: number, gid: number): boolean {
  const { uid: user, gid: group } = program.allowed[action];
  return uid === 0 || uid === user || gid === group;
}
