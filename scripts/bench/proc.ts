// What /proc says about the processes of one run. They are known by a variable in their
// environment, never by their name: whoever carries it was started by this benchmark.
import { readdirSync, readFileSync } from "node:fs";

const TOKEN = "SYSMGR_BENCH";

/** The environment that every supervisor, tool and service gets, and nothing else. */
export function environment(root: string): Record<string, string> {
  const path = process.env.PATH ?? "/usr/bin:/bin:/usr/sbin:/sbin";
  return { PATH: path, HOME: root, LC_ALL: "C", [TOKEN]: root };
}

/** Processes whose environment names `root`, or a directory below it. Zombies have none. */
export function processesOf(root: string): number[] {
  const exact = `${TOKEN}=${root}\0`;
  const below = `${TOKEN}=${root}/`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const all = `\0${read(pid, "environ")}`;
      return pid !== process.pid && (all.includes(`\0${exact}`) || all.includes(`\0${below}`));
    });
}

/** Kills every process of `root`, again and again until none is left (a supervisor restarts). */
export function sweep(root: string): void {
  for (let tries = 0; tries < 100; tries++) {
    const pids = processesOf(root);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid, "SIGSTOP");
    for (const pid of pids) kill(pid, "SIGKILL");
    Bun.sleepSync(5);
  }
  console.error(`bench: cannot end all processes of ${root}: ${processesOf(root).join(" ")}`);
}

/** Sends a signal; a process that is gone already is what was wanted. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Proportional and anonymous memory of processes together, in MB (10^6 bytes). */
export function memoryOf(pids: readonly number[]): { pss: number; anonymous: number } {
  let pss = 0;
  let anonymous = 0;
  for (const pid of pids) {
    const rollup = read(pid, "smaps_rollup");
    pss += kilobytes(rollup, "Pss");
    anonymous += kilobytes(rollup, "Pss_Anon");
  }
  return { pss: (pss * 1024) / 1e6, anonymous: (anonymous * 1024) / 1e6 };
}

function kilobytes(rollup: string, key: string): number {
  const found = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(rollup)?.[1];
  if (found === undefined) throw new Error(`no ${key} in smaps_rollup`);
  return Number(found);
}

/** What all processors did since boot, in ticks. */
export function machineTime(): { busy: number; total: number } {
  const ticks = readFileSync("/proc/stat", "latin1").split("\n", 1)[0]?.match(/\d+/g) ?? [];
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    ticks.map(Number);
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, total: busy + idle + iowait };
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return ""; // it ended meanwhile, or is not ours to look at
  }
}
