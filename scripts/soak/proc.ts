// What /proc says; nothing of sysmgr's own code is used here, so that one does not vouch for
// the other. Processes of a soak are known by a variable in their environment, never by a name.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const TOKEN = "SYSMGR_SOAK";
const TICKS_PER_SECOND = 100;

/** The environment that sysmgr, its clients and its services get. */
export function environment(root: string): Record<string, string> {
  const path = process.env.PATH ?? "/usr/bin:/bin:/usr/sbin:/sbin";
  return { PATH: path, HOME: root, LC_ALL: "C", [TOKEN]: root };
}

/** Seconds since boot: the clock of every time in a soak, also in what services write. */
export function uptime(): number {
  return Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]);
}

export interface Stat {
  readonly pid: number;
  readonly state: string;
  readonly parent: number;
  readonly session: number;
  /** In clock ticks since boot: with the pid, the identity of a process. */
  readonly ticks: number;
}

export function stat(pid: number): Stat | null {
  const text = read(pid, "stat");
  if (text === "") return null;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (i: number): number => Number(fields[i]);
  return { pid, state: fields[0] ?? "", parent: field(1), session: field(3), ticks: field(19) };
}

export function lives(pid: number, ticks: number): boolean {
  const found = stat(pid);
  return found !== null && found.ticks === ticks && !"ZX".includes(found.state);
}

export function seconds(ticks: number): number {
  return ticks / TICKS_PER_SECOND;
}

function pids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

export function children(parent: number): Stat[] {
  return pids()
    .map(stat)
    .filter((each) => each !== null)
    .filter((each) => each.parent === parent);
}

function environ(pid: number): string[] {
  return read(pid, "environ").split("\0");
}

/** Everything that was started for this soak and still runs. Zombies have no environment. */
export function processesOf(root: string): number[] {
  return pids().filter((pid) => pid !== process.pid && environ(pid).includes(`${TOKEN}=${root}`));
}

/** The main processes of services, by name: they lead a session and carry the name. */
export function mainProcesses(root: string): Map<string, Stat[]> {
  const found = new Map<string, Stat[]>();
  for (const pid of processesOf(root)) {
    const process = stat(pid);
    const name = environ(pid)
      .find((variable) => variable.startsWith("SYSMGR_SERVICE="))
      ?.replace(/^.*?=/, "");
    if (!process || name === undefined || process.session !== pid) continue;
    if (!"ZX".includes(process.state)) found.set(name, [...(found.get(name) ?? []), process]);
  }
  return found;
}

/** Kills every process of a soak, again and again until none is left. */
export function sweep(root: string): void {
  for (let tries = 0; tries < 200; tries++) {
    const left = processesOf(root);
    if (left.length === 0) return;
    for (const pid of left) signal(pid, "SIGSTOP");
    for (const pid of left) signal(pid, "SIGKILL");
    Bun.sleepSync(10);
  }
  console.error(`soak: cannot end all processes of ${root}: ${processesOf(root).join(" ")}`);
}

/** Sends a signal; false: the process is gone. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ESRCH") return false;
    throw error;
  }
}

/** What each open descriptor leads to. */
export function descriptors(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch {
    return []; // gone
  }
}

/** Private memory of a process in MB (10^6 bytes): what a leak would fill. */
export function anonymousMemory(pid: number): number {
  const found = /^Pss_Anon:\s+(\d+) kB$/m.exec(read(pid, "smaps_rollup"))?.[1];
  return found === undefined ? Number.NaN : (Number(found) * 1024) / 1e6;
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return ""; // it ended meanwhile, or is not ours to look at
  }
}
