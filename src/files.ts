/** Small files, written whole; calls return what libc.ts returns: a value >= 0, or minus the errno. */
import { writeAll } from "./bytes.ts";
import * as libc from "./libc.ts";
import { AT_FDCWD, E, O } from "./libc.ts";

/** Makes a file that is not there; `dir`: what the path is relative to. */
export function createFile(path: string, text: string, mode = 0o644, dir = AT_FDCWD): number {
  const fd = libc.openat(dir, path, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, mode);
  if (fd < 0) return fd;
  const code = writeAll(fd, text);
  libc.close(fd);
  return code;
}

/** Makes a file, or replaces it by rename: a reader sees the old or the new one, never half. */
export function putFile(path: string, text: string, mode = 0o644, dir = AT_FDCWD): number {
  const staged = path.replace(/[^/]*$/s, (name) => `.${name}.new`);
  libc.unlinkat(dir, staged);
  const code = createFile(staged, text, mode, dir);
  return code < 0 ? code : libc.renameat(dir, staged, dir, path);
}

export function removeFile(path: string): number {
  return libc.unlinkat(AT_FDCWD, path);
}

/** -E.EXIST is no failure here. */
export function makeDirectory(path: string, mode = 0o755): number {
  const code = libc.mkdirat(AT_FDCWD, path, mode);
  return code === -E.EXIST ? 0 : code;
}

/** Of our own making: files, and directories of files. */
export function removeDirectory(path: string): number {
  const names = libc.readDirectory(path, AT_FDCWD, O.NOFOLLOW);
  for (const name of typeof names === "number" ? [] : names) {
    if (removeFile(`${path}/${name}`) === -E.ISDIR) removeDirectory(`${path}/${name}`);
  }
  return libc.rmdirat(AT_FDCWD, path);
}
