/** How runit and daemontools see a service of ours. */
import * as libc from "../libc.ts";
import * as proc from "../proc.ts";
import type { Status } from "../status.ts";

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
  const age = process ? proc.ageOf(process.started) : Date.now() - since;
  return {
    state: process ? "run" : state === "finishing" ? "finish" : "down",
    pid: (process ?? finish)?.pid ?? 0,
    seconds: Math.max(0, Math.floor(age / 1000)),
    // sysmgr does not keep that: the kernel does.
    paused: process !== null && proc.readStat(process.pid)?.state === "T",
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

/**
 * What opening supervise/ok would say where nobody supervises: that there never was anybody
 * (ENOENT), or that there is nobody now (ENXIO).
 */
export function absence(path: string): number {
  const stat = libc.stat(`${path}/supervise/ok`);
  return typeof stat === "number" ? stat : -libc.E.NXIO;
}

/** What chdir(2) would say of a service directory: 0, or minus the errno. */
export function whyNotDirectory(path: string): number {
  const stat = libc.stat(path);
  if (typeof stat === "number") return stat;
  return stat.isDirectory ? 0 : -libc.E.NOTDIR;
}
