/** Going into the background: ourselves again, in a session of its own, with nothing open. */
import { err, Failure } from "../cli.ts";
import { cleanEnvironment, ownCommand, serviceFileLimits } from "../environment.ts";
import * as libc from "../libc.ts";
import { O } from "../libc.ts";

/** The first argument of one that is in the background; then comes the limit it began with. */
export const DETACHED = "--detached";

/** The last that is heard of it, on standard error, when all is well; before come its complaints. */
export const WORKS = "\0";

/** Starts it with these arguments; resolves to our exit code once it works, or has failed. */
export async function detach(program: string, args: readonly string[]): Promise<number> {
  const said = libc.pipe();
  if (typeof said === "number") throw new Failure(`cannot make a pipe: ${libc.strerror(said)}`);
  const none = openNull();
  const pid = libc.spawn({
    path: "/proc/self/exe",
    // Our own parent's limit is what programs get; its parent's would be ours.
    argv: [...ownCommand(program), DETACHED, String(serviceFileLimits(null).soft), ...args],
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
  err(text.replace(WORKS, ""));
  if (text.endsWith(WORKS)) return 0;
  const status = libc.waitFor(pid);
  return typeof status === "number" ? 1 : (status.code ?? 1);
}

async function readToEnd(fd: number): Promise<string> {
  let text = "";
  for await (const part of Bun.file(fd).stream()) text += Buffer.from(part).toString("latin1");
  return text;
}

/** /dev/null, to read and to write. */
export function openNull(): number {
  return libc.openat(libc.AT_FDCWD, "/dev/null", O.RDWR | O.NOCTTY);
}

/** Puts a file in the place of standard error, and /dev/null if there is none. Throws Failure. */
export function redirectMessages(path: string | null): void {
  const flags = O.WRONLY | O.APPEND | O.CREAT | O.NOCTTY;
  const fd = path === null ? openNull() : libc.openat(libc.AT_FDCWD, path, flags, 0o640);
  if (fd < 0) throw new Failure(`cannot open ${path}: ${libc.strerror(fd)}`);
  libc.duplicateTo(fd, 2);
  libc.close(fd);
}
