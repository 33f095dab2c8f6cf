// The C sysmgr, if one is on PATH: the same services, found through SYSDIR and RUNDIR.
// It is not packaged anywhere near; written from its guide and the words.
import { existsSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Peer, type Place, stageFile } from "../peer.ts";

/** Ours carries a runtime of 100 MB, the C one is some 20 KB: a safe way to tell them apart. */
const LARGEST_C_PROGRAM = 5_000_000;

const withDirectories = (place: Place, ...rest: string[]): string[] => [
  "env",
  `SYSDIR=${place.services}`,
  `RUNDIR=${join(place.state, "run")}`,
  ...rest,
];

/** The C program of that name on PATH, if there is one. */
function find(program: string): string | undefined {
  const path = Bun.which(program);
  if (path === null || !existsSync(path)) return undefined;
  return statSync(realpathSync(path)).size < LARGEST_C_PROGRAM ? path : undefined;
}

export const sysmgrC: Peer = {
  name: "sysmgr (C)",
  interval: 1000,
  how: { control: "svctl stop, svctl start", status: "svctl status, all names in one invocation" },
  version: () => (find("sysmgr") && find("svctl") ? "version unknown" : undefined),
  stage: stageFile,
  run: (place) => withDirectories(place, "sysmgr"),
  stop: (place, name) => withDirectories(place, "svctl", "stop", name),
  start: (place, name) => withDirectories(place, "svctl", "start", name),
  status: (place, names) => withDirectories(place, "svctl", "status", ...names),
  shutdown: "SIGTERM",
};
