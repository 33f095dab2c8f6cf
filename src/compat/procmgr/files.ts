/** Small files, written whole; calls return what libc.ts returns: a value >= 0, or minus the errno. */
import { writeAll } from "../../bytes.ts";
import * as libc from "../../libc.ts";
import { E, O } from "../../libc.ts";

const NEW = ".new";

/** Makes a file that is not there; `dir`: what the path is relative to. */
export function createFile(path: string, text: string, mode = 0o644, dir = libc.AT_FDCWD): number {
  const fd = libc.openat(dir, path, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, mode);
  if (fd < 0) return fd;
  const code = writeAll(fd, text);
  libc.close(fd);
  return code;
}

/** Makes a file, or replaces it by rename: a reader sees the old or the new one, never half. */
export function putFile(path: string, text: string, mode = 0o644, dir = libc.AT_FDCWD): number {
  const staged = path.replace(/[^/]*$/s, (name) => `.${name}${NEW}`);
  libc.unlinkat(dir, staged);
  const code = createFile(staged, text, mode, dir);
  return code < 0 ? code : libc.renameat(dir, staged, dir, path);
}

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

export function removeFile(path: string): number {
  return libc.unlinkat(libc.AT_FDCWD, path);
}

/** -E.EXIST is no failure here. */
export function makeDirectory(path: string, mode: number): number {
  const code = libc.mkdirat(libc.AT_FDCWD, path, mode);
  return code === -E.EXIST ? 0 : code;
}

/** Of our own making: files, and directories of files. */
export function removeDirectory(path: string): number {
  const names = libc.readDirectory(path, libc.AT_FDCWD, O.NOFOLLOW);
  for (const name of typeof names === "number" ? [] : names) {
    if (removeFile(`${path}/${name}`) === -E.ISDIR) removeDirectory(`${path}/${name}`);
  }
  return libc.rmdirat(libc.AT_FDCWD, path);
}
