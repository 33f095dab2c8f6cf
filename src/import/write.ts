/** Puts service directories where sysmgr(8) looks for them, each whole or not at all. */
import { Failure } from "../cli.ts";
import { createFile, makeDirectory, removeDirectory } from "../files.ts";
import * as libc from "../libc.ts";
import type { ServiceFiles } from "./service.ts";

/** Names that are there already are left out, and returned. Throws Failure. */
export function writeServices(
  dir: string,
  services: ReadonlyMap<string, ServiceFiles>,
): readonly string[] {
  // Modes are as they are shown, whoever calls us.
  process.umask(0o022);
  must(makeDirectory(dir), "make", dir);
  const taken = [...services.keys()].filter((name) => isThere(`${dir}/${name}`));
  // sysmgr passes over what begins with a dot.
  const staging = `${dir}/.sysmgr-import.${process.pid}`;
  must(libc.mkdirat(libc.AT_FDCWD, staging, 0o755), "make", staging);
  try {
    const fresh = [...services].filter(([name]) => !taken.includes(name));
    for (const [name, files] of fresh) stage(`${staging}/${name}`, files);
    for (const [name] of fresh) {
      const code = libc.renameat(
        libc.AT_FDCWD,
        `${staging}/${name}`,
        libc.AT_FDCWD,
        `${dir}/${name}`,
      );
      // Somebody was quicker.
      if (code < 0 && isThere(`${dir}/${name}`)) taken.push(name);
      else must(code, "make", `${dir}/${name}`);
    }
  } finally {
    removeDirectory(staging);
  }
  return taken;
}

function stage(path: string, files: ServiceFiles): void {
  must(libc.mkdirat(libc.AT_FDCWD, path, 0o755), "make", path);
  for (const [file, { text, mode, gid }] of Object.entries(files)) {
    for (const directory of directoriesOf(file)) {
      must(makeDirectory(`${path}/${directory}`), "make", `${path}/${directory}`);
    }
    must(createFile(`${path}/${file}`, text, mode), "write", `${path}/${file}`);
    if (gid === undefined) continue;
    must(libc.chgrpat(libc.AT_FDCWD, `${path}/${file}`, gid), "give", `${path}/${file}`);
  }
}

/** log/main/config: log, log/main. */
function directoriesOf(file: string): string[] {
  const parts = file.split("/");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("/"));
}

export function isThere(path: string): boolean {
  return typeof libc.lstat(path) !== "number";
}

function must(code: number, verb: string, path: string): void {
  if (code < 0) throw new Failure(`cannot ${verb} ${path}: ${libc.strerror(code)}`);
}
