/**
 * The process that a request names. A pid alone proves nothing: it counts only while a pidfd holds
 * it, the start time is the one that was named, every user id of it is the request's owner, and it
 * has no other rights than he: so nobody can name a process that may do more than he may.
 */

import * as libc from "../../libc.ts";
import { E } from "../../libc.ts";
import * as proc from "../../proc.ts";
import type { ProcessId } from "../../status.ts";
import { openNull } from "../background.ts";

/** Who made a request: the owner and the group of its directory. */
export type Owner = { readonly uid: number; readonly gid: number };

export type Identity =
  /** Its descriptor. */
  | { readonly pidfd: number }
  /** It has ended. */
  | { readonly gone: true }
  | { readonly refused: string };

/** Whoever gets the pidfd closes it. */
export function identify(client: ProcessId, owner: Owner): Identity {
  const pidfd = libc.pidfdOpen(client.pid);
  if (pidfd === -E.SRCH || pidfd === -E.INVAL) return { gone: true };
  if (pidfd < 0) return { refused: `cannot look at the client: ${libc.strerror(pidfd)}` };
  const found = look(client, owner, pidfd);
  if (found === null) return { pidfd };
  libc.close(pidfd);
  return found;
}

/** null: it is the owner's. */
export function look(client: ProcessId, owner: Owner, pidfd: number): Identity | null {
  if (!proc.isAlive(client.pid, client.started)) return { gone: true };
  const ids = readIds(client.pid);
  // Still there: then what was read was read of that very process.
  if (ids === null || libc.pidfdKill(pidfd, 0) === -E.SRCH) return { gone: true };
  if (!ids.uids.every((uid) => uid === owner.uid)) {
    return { refused: "the client does not belong to who made the request" };
  }
  // What such a program has open is not its user's to give away.
  const gained = ids.gids.some((gid) => gid !== ids.gids[0]) || ids.capable;
  if (gained && owner.uid !== 0) return { refused: "the client has more rights than its user" };
  // A directory may have got its group from the one that it was made in.
  const groups = [...ids.gids, ...ids.groups];
  return groups.includes(owner.gid) ? null : { refused: "the client is not in that group" };
}

type ProcessIds = {
  /** Real, effective, saved and that of files. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  /** It has capabilities, if only in a user namespace of its own. */
  readonly capable: boolean;
};

function readIds(pid: number): ProcessIds | null {
  const text = libc.readFile(`/proc/${pid}/status`);
  if (typeof text !== "string") return null;
  const words = (key: string) => {
    const line = text.match(new RegExp(`^${key}:\\s*(.*)$`, "m"))?.[1] ?? "";
    return line.split(/\s+/).filter((word) => word !== "");
  };
  const [uids, gids, groups] = ["Uid", "Gid", "Groups"].map((key) => words(key).map(Number));
  if (!uids?.length || !gids?.length || !groups) return null;
  return { uids, gids, groups, capable: /[1-9a-f]/.test(words("CapPrm").join("")) };
}

/**
 * The client's own descriptors 0 to 2, as new ones of ours; null where the kernel refuses that. The
 * client may have become another program meanwhile, one with more rights: so it is looked at again.
 */
export function takeStreams(client: ProcessId, owner: Owner): number[] | null {
  const identity = identify(client, owner);
  if (!("pidfd" in identity)) return null;
  const taken: number[] = [];
  const complete = [0, 1, 2].every((number) => {
    let fd = libc.pidfdTake(identity.pidfd, number);
    // Closed there: here it must not be what is opened next.
    if (fd === -E.BADF) fd = openNull();
    if (fd >= 0) taken.push(fd);
    return fd >= 0;
  });
  const still = look(client, owner, identity.pidfd) === null;
  libc.close(identity.pidfd);
  if (complete && still) return taken;
  for (const fd of taken) libc.close(fd);
  return null;
}
