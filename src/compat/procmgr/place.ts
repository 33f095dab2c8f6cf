/**
 * Where a daemon and its clients meet, and where it keeps its state: all beside the path that the
 * configuration names, so that each configuration has a daemon of its own.
 */
import { Failure } from "../../cli.ts";
import { makeDirectory, putFile, removeDirectory, removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { E, O } from "../../libc.ts";
import * as proc from "../../proc.ts";
import { ownProcess } from "../../rundir.ts";
import type { ProcessId } from "../../status.ts";
import { readBounded } from "./files.ts";
import { formatDaemon, parseDaemon } from "./request.ts";

export type Place = {
  /** A file: which process is the daemon. */
  readonly socket: string;
  /** Where everybody may make requests, and nobody can see those of others. */
  readonly spool: string;
  /** Private: what follows is in it. */
  readonly state: string;
  /** What the supervisor of the programs works on. */
  readonly sysdir: string;
  readonly rundir: string;
  /** How a program is to be started the next time, by its service's name. */
  readonly orders: string;
  /** Requests that are being worked on. */
  readonly accepted: string;
  /** Which of its services a program is. */
  readonly current: string;
};

const SPOOL_MODE = 0o1733;

export function placeFor(socket: string): Place {
  return { socket, spool: `${socket}.spool`, ...inside(`${socket}.state`) };
}

function inside(state: string) {
  return {
    state,
    sysdir: `${state}/programs`,
    rundir: `${state}/run`,
    orders: `${state}/orders`,
    accepted: `${state}/accepted`,
    current: `${state}/current`,
  };
}

/** Makes it, and takes its lock for as long as we live. Throws Failure. */
export function claimPlace(place: Place): void {
  ownDirectory(place.state, 0o700);
  const flags = O.RDWR | O.CREAT | O.NOFOLLOW;
  const lock = libc.openat(libc.AT_FDCWD, `${place.state}/lock`, flags, 0o600);
  const code = lock < 0 ? lock : libc.lockNow(lock);
  if (code === -E.AGAIN)
    throw new Failure(`cannot lock ${place.state}: another daemon works there`);
  if (code < 0) throw new Failure(`cannot lock ${place.state}: ${libc.strerror(code)}`);
  for (const path of [place.sysdir, place.orders, place.accepted, place.current]) {
    ownDirectory(path, 0o700);
  }
  ownDirectory(place.rundir, 0o755);
  ownDirectory(place.spool, SPOOL_MODE);
}

/** Makes a directory, or goes on with one that nobody else can have made. */
function ownDirectory(path: string, mode: number): void {
  const code = makeDirectory(path, 0o700);
  if (code < 0) throw new Failure(`cannot make ${path}: ${libc.strerror(code)}`);
  const fd = libc.openat(libc.AT_FDCWD, path, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  const stat = fd < 0 ? fd : libc.fstat(fd);
  if (typeof stat === "number") throw new Failure(`cannot open ${path}: ${libc.strerror(stat)}`);
  if (stat.uid !== process.geteuid?.()) {
    throw new Failure(`cannot use ${path}: it belongs to uid ${stat.uid}`);
  }
  libc.fchmod(fd, mode);
  libc.close(fd);
}

/** Everybody may read who the daemon is: the last step of its start. */
export function announce(place: Place): void {
  const code = putFile(place.socket, formatDaemon(ownProcess()));
  if (code < 0) throw new Failure(`cannot write ${place.socket}: ${libc.strerror(code)}`);
}

/** When nothing runs any more. */
export function leavePlace(place: Place): void {
  removeFile(place.socket);
  libc.rmdirat(libc.AT_FDCWD, place.spool);
  removeDirectory(place.state);
}

const DAEMON_FILE_LIMIT = 4_096;

/** The daemon that works there; null: none does. Throws Failure for one that must not be trusted. */
export function findDaemon(place: Place): ProcessId | null {
  const stat = libc.lstat(place.socket);
  if (stat === -E.NOENT) return null;
  if (typeof stat === "number") {
    throw new Failure(`cannot read ${place.socket}: ${libc.strerror(stat)}`);
  }
  if (stat.uid !== 0 && stat.uid !== process.geteuid?.()) {
    throw new Failure(`cannot use ${place.socket}: it belongs to uid ${stat.uid}`);
  }
  const text = readBounded(libc.AT_FDCWD, place.socket, DAEMON_FILE_LIMIT, stat.uid);
  const daemon = typeof text === "string" ? parseDaemon(text) : null;
  return daemon && proc.isAlive(daemon.pid, daemon.started) ? daemon : null;
}
