/**
 * The process that supervises the programs: the scanner of sysmgr(8), as a child of the daemon.
 */
import { parseCount } from "../../bytes.ts";
import { cleanEnvironment, enterRuntimeEnvironment, ownCommand } from "../../environment.ts";
import * as libc from "../../libc.ts";
import type { RunDir } from "../../rundir.ts";
import { supervise } from "../../sysmgr.ts";
import type { Level } from "../../transition.ts";
import { openNull } from "../background.ts";
import { ScannerChild } from "../scanner-child.ts";
import { type Place, placeFor } from "./place.ts";
import { ProgramSource } from "./services.ts";

/** The first argument of a procmgr that is to be the supervisor. */
export const SUPERVISE = "--supervise";

const LEVELS: readonly Level[] = ["error", "info", "debug"];

/** Arguments: the path where the daemon is found, the level of messages, the programs' limit. */
export function main([socket = "", word = "", nofile = ""]: string[]): Promise<number> {
  enterRuntimeEnvironment();
  const { sysdir, rundir } = placeFor(socket);
  return supervise(new ProgramSource(sysdir), rundir, {
    program: "procmgr",
    level: LEVELS.find((level) => level === word) ?? "info",
    nofile: parseCount(nofile),
    sysdir,
  });
}

export type SupervisorOptions = {
  readonly level: Level;
  /** What programs get. */
  readonly nofile: number;
  readonly umask: number;
};

export function supervisorOf(
  place: Place,
  rundir: RunDir,
  options: SupervisorOptions,
  complain: (text: string) => void,
): ScannerChild {
  return new ScannerChild(rundir, {
    spawn: () => spawn(place, options),
    what: "programs",
    complain,
  });
}

function spawn(place: Place, { level, nofile, umask }: SupervisorOptions): number {
  const none = openNull();
  const pid = libc.spawn({
    path: "/proc/self/exe",
    argv: [...ownCommand("procmgr"), SUPERVISE, place.socket, level, String(nofile)],
    env: new libc.Strings(cleanEnvironment()),
    fds: [[none, 0]],
    cwd: "/",
    limits: libc.getFileLimits(),
    umask,
  });
  libc.close(none);
  return pid;
}
