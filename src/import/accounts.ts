/** Users, and the groups that they are in, as /etc/passwd and /etc/group have them. Pure. */
import { parseCount } from "../bytes.ts";

export type Account = {
  readonly name: string;
  readonly uid: number;
  /** Of its own group. */
  readonly gid: number;
  readonly home: string;
  /** The user's own group, then those that list it. */
  readonly groups: readonly string[];
};

export class Accounts {
  private readonly users: readonly (readonly string[])[];
  private readonly groups: readonly (readonly string[])[];

  constructor(passwd: string, group: string) {
    this.users = entries(passwd, 7);
    this.groups = entries(group, 4);
  }

  /** By name or number; null if there is no such user. */
  find(user: string): Account | null {
    const key = parseCount(user) === null ? 0 : 2;
    const found = this.users.find((fields) => fields[key] === user);
    if (!found) return null;
    const [name = "", , uid, gid = "", , home = ""] = found;
    const own = this.groups.find((fields) => fields[2] === gid)?.[0];
    const others = this.groups
      .filter(([, , , members = ""]) => members.split(",").includes(name))
      .map(([group = ""]) => group);
    // A group without a name cannot be named: the user alone then stands for it.
    const groups = own === undefined ? [] : [...new Set([own, ...others])];
    return { name, uid: Number(uid), gid: Number(gid), home, groups };
  }

  group(name: string): string | null {
    const key = parseCount(name) === null ? 0 : 2;
    return this.groups.find((fields) => fields[key] === name)?.[0] ?? null;
  }
}

function entries(text: string, fields: number): string[][] {
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .filter((words) => words.length === fields);
}

/** For chpst -u: with the groups, unless there is but the user's own. */
export function accountWords({ name, groups }: Account): string {
  return groups.length > 1 ? [name, ...groups].join(":") : name;
}
