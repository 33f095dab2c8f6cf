/** Groups by name, as the system's own file has them. */
import { parseCount } from "./bytes.ts";
import * as libc from "./libc.ts";

/** The number of a group: from /etc/group, or it is one; null when there is no such group. */
export function groupId(group: string): number | null {
  const text = libc.readFile("/etc/group");
  const lines = typeof text === "string" ? text.split("\n").map((line) => line.split(":")) : [];
  const found = lines.find(([name]) => name === group);
  return parseCount(found?.[2] ?? group);
}
