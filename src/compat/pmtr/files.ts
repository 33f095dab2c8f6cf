/** Small files, written whole; calls return what libc.ts returns: a value >= 0, or minus the errno. */
import { writeAll } from "../../bytes.ts";
import * as libc from "../../libc.ts";
import { E, O } from "../../libc.ts";

/** Writes a file that is not there, or one that nobody reads yet. */
export function writeFile(path: string, text: string, mode = 0o644): number {
  const flags = O.WRONLY | O.CREAT | O.TRUNC | O.NOFOLLOW;
  const fd = libc.openat(libc.AT_FDCWD, path, flags, mode);
  if (fd < 0) return fd;
  const code = writeAll(fd, text);
  libc.close(fd);
  return code;
}

/** Replaces a file by rename: a reader sees the old or the new one. */
export function replaceFile(path: string, text: string, mode = 0o644): number {
  const staged = path.replace(/[^/]*$/s, ".new");
  libc.unlinkat(libc.AT_FDCWD, staged);
  const code = writeFile(staged, text, mode);
  return code < 0 ? code : libc.renameat(libc.AT_FDCWD, staged, libc.AT_FDCWD, path);
}

export function removeFile(path: string): number {
  return libc.unlinkat(libc.AT_FDCWD, path);
}

/** A directory with nothing but files in it. */
export function removeDirectory(path: string): number {
  const names = libc.readDirectory(path);
  for (const name of typeof names === "number" ? [] : names) removeFile(`${path}/${name}`);
  return libc.rmdirat(libc.AT_FDCWD, path);
}

/** -E.EXIST is no failure here. */
export function makeDirectory(path: string, mode = 0o755): number {
  const code = libc.mkdirat(libc.AT_FDCWD, path, mode);
  return code === -E.EXIST ? 0 : code;
}
