/** The processor of a log: a shell command that makes of a finished file what is kept of it. */
import { environment } from "../bytes.ts";
import { serviceFileLimits } from "../environment.ts";
import * as libc from "../libc.ts";
import { O } from "../libc.ts";

/** Above every number that a file of ours gets in the child: 0, 1, 4 and 5. */
const ABOVE = 10;

const READ = O.RDONLY | O.NONBLOCK;
const TRUNCATE = O.WRONLY | O.NONBLOCK | O.TRUNC | O.CREAT;

function openAbove(directory: number, name: string, flags: number): number {
  const fd = libc.openat(directory, name, flags, 0o644);
  if (fd < 0 || fd >= ABOVE) return fd;
  const above = libc.duplicateFrom(fd, ABOVE);
  libc.close(fd);
  return above;
}

/**
 * Starts `sh -c command` in the directory (a descriptor): it reads `input`, writes `output`,
 * finds what it last wrote to descriptor 5, in `state`, at descriptor 4, and writes `newstate`.
 * Returns its pid, or minus the errno.
 */
export function startProcessor(
  directory: number,
  command: string,
  input: string,
  output: string,
): number {
  const files: readonly [name: string, flags: number, to: number][] = [
    [input, READ, 0],
    [output, TRUNCATE, 1],
    ["state", READ | O.CREAT, 4],
    ["newstate", TRUNCATE, 5],
  ];
  const fds: [from: number, to: number][] = [];
  try {
    for (const [name, flags, to] of files) {
      const fd = openAbove(directory, name, flags);
      if (fd < 0) return fd;
      fds.push([fd, to]);
    }
    return libc.spawn({
      path: "/bin/sh",
      argv: ["sh", "-c", command],
      env: new libc.Strings(environment()),
      fds,
      // The directory itself, wherever it has been moved to.
      cwd: `/proc/self/fd/${directory}`,
      limits: serviceFileLimits(null),
      umask: process.umask(),
      sameSession: true,
    });
  } finally {
    for (const [fd] of fds) libc.close(fd);
  }
}
