/** The lock of a file, which the program to come holds as long as it has the descriptor. */
import * as libc from "../libc.ts";
import { AT_FDCWD, O } from "../libc.ts";
import type { Stop } from "./chain.ts";
import type { Descriptors } from "./descriptors.ts";

const FLAGS = O.WRONLY | O.NONBLOCK | O.APPEND | O.CREAT;

/** Opens or makes the file, and locks it; throws what the last argument makes of trouble. */
export function lockFile(
  file: string,
  wait: boolean,
  descriptors: Descriptors,
  trouble: (verb: "open" | "lock", code: number) => Stop,
): void {
  const fd = libc.openat(AT_FDCWD, file, FLAGS, 0o600);
  if (fd < 0) throw trouble("open", fd);
  const code = wait ? libc.lock(fd) : libc.lockNow(fd);
  if (code < 0) throw trouble("lock", code);
  descriptors.keep(fd);
}
