/** One process, whoever has started it: a pid may have been given to another one meanwhile. */
import { SCAN_INTERVAL_BLIND } from "../config.ts";
import * as libc from "./libc.ts";
import { E } from "./libc.ts";
import * as proc from "./proc.ts";
import type { ProcessId } from "./status.ts";

/**
 * Calls back once when that very process has ended (at once if it has), child or not, unless the
 * function that is returned was called before. Where no pidfd is to be had, a look every second
 * stands in for it.
 */
export function whenEnded(process: ProcessId, callback: () => void): () => void {
  const lives = () => proc.isAlive(process.pid, process.started);
  let wanted = true;
  let release = () => {};
  const forget = () => {
    if (wanted) release();
    wanted = false;
  };
  const end = () => {
    if (!wanted) return;
    forget();
    callback();
  };
  const poll = () => {
    const timer = setInterval(() => lives() || end(), SCAN_INTERVAL_BLIND);
    release = () => clearInterval(timer);
  };
  const pidfd = libc.pidfdOpen(process.pid);
  if (pidfd < 0) {
    poll();
    return forget;
  }
  // A pidfd has nothing to read: the attempt fails as soon as there would be something.
  const reader = Bun.file(pidfd).stream().getReader();
  release = () => {
    void reader.cancel().catch(() => {});
    libc.close(pidfd);
  };
  const look = () => {
    if (!wanted) return;
    if (!lives()) return end();
    // It failed for another reason: a stream takes a descriptor of its own.
    release();
    poll();
  };
  if (lives()) reader.read().then(look, look);
  else setImmediate(end);
  return forget;
}

/** Signals a process only if it is still the one that was meant; else -E.SRCH. */
export function signalExactly(process: ProcessId, signal: number): number {
  const pidfd = libc.pidfdOpen(process.pid);
  const same = proc.isAlive(process.pid, process.started);
  // Without a pidfd (too many open files) the check just made is the best there is.
  const send =
    pidfd < 0 ? () => libc.kill(process.pid, signal) : () => libc.pidfdKill(pidfd, signal);
  const code = same ? send() : -E.SRCH;
  if (pidfd >= 0) libc.close(pidfd);
  return code;
}
