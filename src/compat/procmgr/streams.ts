/** What a script reads and writes: what its client does, as far as that can be. */

import { createFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { O } from "../../libc.ts";
import { openNull } from "../background.ts";
import { type Owner, takeStreams } from "./caller.ts";
import type { Caller } from "./order.ts";
import { COPY, FIFOS } from "./request.ts";

/**
 * Descriptors for 0 to 2: the client's own; or FIFOs that it copies from and to, if it stays for
 * that; or /dev/null, as a FIFO that nobody reads any more would end who writes to it.
 */
export function openStreams(caller: Caller): number[] {
  const own = takeStreams(caller.client, caller.owner);
  return own ?? (caller.waits ? openFifos(caller) : null) ?? [0, 1, 2].map(openNull);
}

function openFifos({ request, owner }: Caller): number[] | null {
  const dir = libc.openat(libc.AT_FDCWD, request, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  if (dir < 0) return null;
  const opened = isOwners(dir, owner)
    ? FIFOS.map((name, i) => openFifo(dir, name, i === 0 ? O.RDONLY : O.WRONLY, owner))
    : [-1];
  const complete = opened.every((fd) => fd >= 0) && createFile(COPY, "", 0o644, dir) >= 0;
  libc.close(dir);
  if (complete) return opened;
  for (const fd of opened) if (fd >= 0) libc.close(fd);
  return null;
}

function isOwners(fd: number, { uid }: Owner): boolean {
  const stat = libc.fstat(fd);
  return typeof stat !== "number" && stat.uid === uid && stat.mode === 0o700;
}

/** The client has it open already: nobody waits for anybody here. */
function openFifo(dir: number, name: string, flags: number, { uid }: Owner): number {
  const fd = libc.openInside(dir, name, flags | O.NONBLOCK | O.NOCTTY);
  const stat = fd < 0 ? fd : libc.fstat(fd);
  if (typeof stat !== "number" && stat.isFifo && stat.uid === uid) {
    libc.makeBlocking(fd);
    return fd;
  }
  if (fd >= 0) libc.close(fd);
  return -1;
}
