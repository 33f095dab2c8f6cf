// No process can be started any more, and just then a service crashes.
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { runs } from "./lives.ts";
import { type Run, within } from "./run.ts";
import {
  bad,
  type Cells,
  good,
  Impossible,
  neutral,
  nth,
  type Scenario,
  services,
  timed,
  withRun,
} from "./scenario.ts";

const SERVICES = 5;
/** Longer than the first pauses of who waits longer each time. */
const FULL_SECONDS = 22;
/** Some sleep for a minute after a fork that failed. */
const PATIENCE = 75;
/** Where the pids controller is: cgroup v1, v2. */
const HIERARCHIES = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"];

const made = new Set<string>();

export const processesFull: Scenario = {
  id: "processes",
  title: "The process table is full when a service crashes",
  rows: [
    { id: "survives", title: "the supervising processes" },
    { id: "tries", title: "forks refused meanwhile" },
    { id: "back", title: "the service" },
  ],
  produced:
    `${SERVICES} services and their supervisor run in a pids cgroup of their own. Its pids.max is ` +
    "set to 1, so that fork fails with EAGAIN as it does when no pid is left; one service gets " +
    `SIGKILL; ${FULL_SECONDS} s later pids.max is set to "max". The machine's own table is never full.`,
  looked:
    "Whether all supervising processes are still the same; how often the kernel has refused a " +
    "fork (pids.events); how long after there was room again the service has a new process " +
    `(${PATIENCE} s at most). Nobody is told that there is room, so this is what is left of the ` +
    "pause after the last fork that failed.",
  attempt,
};

async function attempt(peer: Run["peer"], root: string): Promise<Cells> {
  const group = makeGroup(basename(root));
  const enter = ["/bin/sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group];
  try {
    return await withRun({ peer, names: services(SERVICES), root, within: enter }, (run) =>
      fill(run, group),
    );
  } finally {
    removeGroup(group);
  }
}

async function fill(run: Run, group: string): Promise<Cells> {
  await run.begin();
  const before = run.supervisors();
  writeFileSync(join(group, "pids.max"), "1");
  const name = nth(run, 0);
  const early = await run.crash(name, FULL_SECONDS);
  if (early !== undefined) throw new Error("a service was started although nothing could be");
  const refused = /^max (\d+)$/m.exec(readFileSync(join(group, "pids.events"), "latin1"))?.[1];
  const left = before.filter(runs).length;
  writeFileSync(join(group, "pids.max"), "max");
  const back = await within(PATIENCE, () => run.lives.running(name).length > 0);
  const survive = `${left} of ${before.length} live`;
  return {
    survives: left === before.length ? good(survive) : bad(survive),
    tries: neutral(refused ?? "unknown"),
    back: timed("started after ", back, `not started in ${PATIENCE} s`),
  };
}

/** A new group of the pids controller. */
function makeGroup(name: string): string {
  for (const hierarchy of HIERARCHIES) {
    const group = join(hierarchy, name);
    try {
      mkdirSync(group);
      made.add(group);
      readFileSync(join(group, "pids.max"));
      return group;
    } catch {
      removeGroup(group); // not mounted, not writable, or without that controller
    }
  }
  throw new Impossible("no pids cgroup can be made here");
}

/** Its processes have been killed, but leave only when they are reaped. */
function removeGroup(group: string): void {
  for (let tries = 0; made.has(group) && tries < 100; tries++) {
    try {
      rmdirSync(group);
      made.delete(group);
    } catch {
      Bun.sleepSync(10);
    }
  }
}

/** For the end of the whole program. */
export function removeGroups(): void {
  for (const group of made) removeGroup(group);
}
