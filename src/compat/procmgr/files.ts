/** Files of others, read with care; calls return what libc.ts returns: a value, or minus the errno. */
import * as libc from "../../libc.ts";
import { E, O } from "../../libc.ts";

/** The content of a regular file that is no longer than the limit, of that owner if one is given. */
export function readBounded(
  dir: number,
  path: string,
  limit: number,
  owner?: number,
): string | number {
  const fd =
    dir === libc.AT_FDCWD
      ? libc.openat(dir, path, O.RDONLY | O.NOFOLLOW | O.NONBLOCK | O.NOCTTY)
      : libc.openInside(dir, path, O.RDONLY | O.NONBLOCK | O.NOCTTY);
  if (fd < 0) return fd;
  const text = readOpen(fd, limit, owner);
  libc.close(fd);
  return text;
}

function readOpen(fd: number, limit: number, owner?: number): string | number {
  const stat = libc.fstat(fd);
  if (typeof stat === "number") return stat;
  if (!stat.isFile || stat.size > limit) return -E.INVAL;
  if (owner !== undefined && stat.uid !== owner) return -E.PERM;
  let text = "";
  // It may grow while it is read.
  while (text.length <= limit) {
    const part = libc.readText(fd);
    if (typeof part === "number") return part;
    if (part === "") return text;
    text += part;
  }
  return -E.INVAL;
}
