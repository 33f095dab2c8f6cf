/** The script ./check of a service directory, run by a client as runit's clients do. */
import { CHECK_LIMIT } from "../../config.ts";
import { environment } from "../bytes.ts";
import { err } from "../cli.ts";
import { serviceFileLimits } from "../environment.ts";
import * as libc from "../libc.ts";
import { reason } from "../log/words.ts";

const CHECK = "./check";

/**
 * True if it succeeds, or there is none; also, as in the original, if it cannot be run, which is
 * said. One that takes longer than sysmgr would let it is killed, and fails.
 */
export function passesCheck(path: string, label: string): boolean {
  const stat = libc.stat(`${path}/${CHECK}`);
  if (stat === -libc.E.NOENT || stat === -libc.E.NOTDIR) return true;
  if (typeof stat === "number") {
    err(`warning: unable to stat ${label}/check: ${reason(stat)}\n`);
    return false;
  }
  const pid = start(path);
  if (pid < 0) err(`warning: unable to run ${label}/check: ${reason(pid)}\n`);
  return pid < 0 || succeeds(pid);
}

function start(cwd: string): number {
  const nothing = libc.openat(libc.AT_FDCWD, "/dev/null", libc.O.WRONLY);
  const pid = libc.spawn({
    path: CHECK,
    argv: [CHECK],
    env: new libc.Strings(environment()),
    fds: nothing < 0 ? [] : [[nothing, 1]],
    cwd,
    limits: serviceFileLimits(null),
    umask: process.umask(),
    sameSession: true,
  });
  if (nothing >= 0) libc.close(nothing);
  return pid;
}

function succeeds(pid: number): boolean {
  const pidfd = libc.pidfdOpen(pid);
  const [ended] = libc.waitAny([{ fd: pidfd }], CHECK_LIMIT);
  if (!ended) libc.kill(pid, libc.SIGNALS.KILL);
  if (pidfd >= 0) libc.close(pidfd);
  const status = libc.waitFor(pid);
  return typeof status !== "number" && status.code === 0;
}
