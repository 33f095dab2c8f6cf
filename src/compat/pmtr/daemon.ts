/** Going into the background: ourselves again, in a session of its own, with nothing open. */

import { err, Failure } from "../../cli.ts";
import { cleanEnvironment } from "../../environment.ts";
import * as libc from "../../libc.ts";
import { ownCommand } from "./scanner.ts";

/** The first argument of a pmtr that is in the background. */
export const DETACHED = "--detached";

/** Starts it with these arguments; resolves to our exit code once it works, or has failed. */
export async function detach(args: readonly string[]): Promise<number> {
  const said = libc.pipe();
  if (typeof said === "number") throw new Failure(`cannot make a pipe: ${libc.strerror(said)}`);
  const none = libc.openat(libc.AT_FDCWD, "/dev/null", libc.O.RDWR);
  const pid = libc.spawn({
    path: "/proc/self/exe",
    argv: [...ownCommand(), DETACHED, ...args],
    env: new libc.Strings(cleanEnvironment()),
    fds: [
      [none, 0],
      [none, 1],
      [said.write, 2],
    ],
    cwd: "/",
    limits: libc.getFileLimits(),
    umask: process.umask(),
  });
  libc.close(said.write);
  if (pid < 0) throw new Failure(`cannot start: ${libc.strerror(pid)}`);
  const text = await readToEnd(said.read);
  if (text.endsWith(WORKS)) return 0;
  err(text);
  const status = libc.waitFor(pid);
  return typeof status === "number" ? 1 : (status.code ?? 1);
}

/** The last that is heard of it when all is well; before that come its complaints. */
const WORKS = "\0";

async function readToEnd(fd: number): Promise<string> {
  let text = "";
  for await (const part of Bun.file(fd).stream()) text += Buffer.from(part).toString("latin1");
  return text;
}

/** In the background, once all is well: from here on standard error is nobody's. */
export function sayItWorks(): void {
  err(WORKS);
  const none = libc.openat(libc.AT_FDCWD, "/dev/null", libc.O.RDWR);
  libc.close(2);
  // The lowest number that is free: 2.
  libc.duplicateFrom(none, 2);
  libc.setCloseOnExec(2, false);
  libc.close(none);
}
