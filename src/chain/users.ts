/** Accounts as the system knows them, by libc: where nsswitch.conf(5) sends us. */
import * as libc from "../libc.ts";
import { cstr } from "../libc.ts";
import { setgid, setgroups, setuid } from "./calls.ts";
import { failed, fatal } from "./chain.ts";
import type { Limits } from "./limits.ts";

export type Ids = {
  readonly uid: number;
  /** The first one is the group; all are supplementary groups. */
  readonly gids: readonly number[];
};

/** No such name is 0; trouble with finding out is minus the errno. */
type NotFound = number;

const args = ["ptr", "ptr", "ptr", "u64", "ptr"] as const;
const bindCalls = () =>
  libc.bind({
    getgrnam_r: { args, returns: "i32" },
    getpwnam_r: { args, returns: "i32" },
  });
type Calls = ReturnType<typeof bindCalls>;
let calls: Calls | null = null;

// struct passwd and struct group: pointers to name and password, then these.
const ID = 16;
const SECOND_ID = 20;

const ERANGE = 34;
const MOST = 1 << 24;

/** What libc finds of that name: in a larger and larger buffer until it fits. */
function entry(call: keyof Calls, name: string): DataView | NotFound {
  calls ??= bindCalls();
  const found = new BigUint64Array(new ArrayBuffer(8));
  const struct = new Uint8Array(new ArrayBuffer(64));
  for (let size = 4_096; ; size *= 4) {
    const text = new Uint8Array(new ArrayBuffer(size));
    const code = calls[call](cstr(name), struct, text, size, found);
    if (code === ERANGE && size < MOST) continue;
    return found[0] === 0n ? -code : new DataView(struct.buffer);
  }
}

export function findUser(name: string): Ids | NotFound {
  const struct = entry("getpwnam_r", name);
  if (typeof struct === "number") return struct;
  return { uid: struct.getUint32(ID, true), gids: [struct.getUint32(SECOND_ID, true)] };
}

function findGroup(name: string): { gid: number } | NotFound {
  const struct = entry("getgrnam_r", name);
  return typeof struct === "number" ? struct : { gid: struct.getUint32(ID, true) };
}

/** More are not looked at. */
const MOST_GROUPS = 60;

/** USER[:GROUP...]: the groups are those named, or the user's own. */
function findUserAndGroups(words: string): Ids | NotFound {
  const [name = "", ...groups] = words.split(":");
  const user = findUser(name);
  if (typeof user === "number" || groups.length === 0) return user;
  const gids: number[] = [];
  for (const name of groups.slice(0, MOST_GROUPS)) {
    const group = findGroup(name);
    if (typeof group === "number") return group;
    gids.push(group.gid);
  }
  return { uid: user.uid, gids };
}

/** UID:GID[:GID...], without the colon in front: null for anything else. */
function readIds(words: string): Ids | null {
  if (!/^\d*(:\d*)+$/.test(words)) return null;
  const [uid = 0, ...gids] = words.split(":").map((n) => Number(BigInt.asUintN(32, BigInt(n))));
  return gids.length > MOST_GROUPS ? null : { uid, gids };
}

/** [:]USER[:GROUP...] as chpst reads it; or what is wrong with it, in chpst's words. */
export function readAccount(
  words: string,
): Ids | { readonly wrong: string; readonly code: number } {
  if (words.startsWith(":")) {
    const ids = readIds(words.slice(1));
    return ids ?? { wrong: `invalid uid/gids: ${words.slice(1)}`, code: 0 };
  }
  const ids = findUserAndGroups(words);
  if (typeof ids !== "number") return ids;
  return ids === 0
    ? { wrong: `unknown user/group: ${words}`, code: 0 }
    : { wrong: "unable to get password/group file entry", code: ids };
}

/** The account of that name, or the end of the chain in daemontools' words. */
export function account(program: string, name: string): Ids {
  const found = findUser(name);
  if (typeof found !== "number") return found;
  throw fatal(program, `unknown account ${name}`);
}

/**
 * Becomes that user. The groups go first: without root's rights they could not. Any failure is the
 * end of the chain; daemontools calls the first one "setgid".
 */
export function becomeUser(
  program: string,
  { uid, gids }: Ids,
  limits: Limits,
  groups = "setgid",
): void {
  limits.beforeUserChanges();
  const must = (what: string, code: number) => {
    if (code < 0) throw failed(program, `unable to ${what}`, code);
  };
  must(groups, setgroups(gids));
  must("setgid", setgid(gids[0] ?? 0));
  must("setuid", setuid(uid));
}
