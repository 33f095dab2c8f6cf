/** How runit and daemontools see a service of ours. */
import * as libc from "../libc.ts";
import * as proc from "../proc.ts";
import type { Status } from "../status.ts";
import type { Place, Places } from "./places.ts";

export type Condition = {
  readonly state: "down" | "run" | "finish";
  /** Of `run`, or of `finish`; 0: there is none. */
  readonly pid: number;
  /** Since `run` was started, or since the state began. */
  readonly seconds: number;
  readonly paused: boolean;
  /** It was told to stop (by its stop signal and CONT), and has not ended yet. */
  readonly stopping: boolean;
};

export function conditionOf({ state, process, finish, since }: Status): Condition {
  const pid = (process ?? finish)?.pid ?? 0;
  const age = process ? proc.ageOf(process.started) : Date.now() - since;
  return {
    state: process ? "run" : state === "finishing" ? "finish" : "down",
    pid,
    seconds: Math.max(0, Math.floor(age / 1000)),
    // sysmgr does not keep that: the kernel does.
    paused: pid > 0 && proc.readStat(pid)?.state === "T",
    stopping: process !== null && state === "stopping",
  };
}

/** Whether a service directory says that its service is normally up; a number: minus the errno. */
export function isNormallyUp(path: string): boolean | number {
  const stat = libc.stat(`${path}/down`);
  if (typeof stat !== "number") return false;
  // A service may be a plain file.
  return stat === -libc.E.NOENT || stat === -libc.E.NOTDIR ? true : stat;
}

/** A service that is supervised. */
export type Found = { readonly place: Place; readonly status: Status };

/**
 * A number: minus the errno that opening supervise/ok would give where nobody supervises; ENXIO:
 * nobody does so now, ENOENT: nobody ever did.
 */
export function findService(places: Places, path: string): Found | number {
  const place = places.find(path);
  const status = place?.rundir.status(place.name);
  if (place && status) return { place, status };
  const stat = libc.stat(`${path}/supervise/ok`);
  return typeof stat === "number" && !places.wasSupervised(path) ? stat : -libc.E.NXIO;
}

/**
 * What chdir(2) would say of a service directory: 0, or minus the errno. A service of sysmgr may
 * be a plain file.
 */
export function whyNotDirectory(places: Places, path: string): number {
  const stat = libc.stat(path);
  if (typeof stat === "number") return stat;
  return stat.isDirectory || typeof findService(places, path) !== "number" ? 0 : -libc.E.NOTDIR;
}
