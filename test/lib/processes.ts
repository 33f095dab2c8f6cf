/** What /proc tells of processes, for tests. */
import { readdirSync, readlinkSync } from "node:fs";
import {
  allStats,
  isAlive,
  type ProcStat,
  readEnviron,
  readName,
  readStat,
} from "../../src/proc.ts";
import { read } from "./files.ts";
import { until } from "./until.ts";

export { isAlive, readName, readStat };

export function lives(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== null && stat.state !== "Z";
}

export function children(pid: number): ProcStat[] {
  return allStats().filter((p) => p.ppid === pid);
}

/** What each open descriptor leads to, by number. */
export function descriptors(pid: number): Map<number, string> {
  const found = new Map<number, string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      found.set(Number(fd), readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      // closed meanwhile
    }
  }
  return found;
}

/** Its variables, NAME=VALUE each. */
export function environment(pid: number): string[] {
  return (readEnviron(pid) ?? []).filter((v) => v !== "");
}

/** The same once these are among them: in the midst of an exec there are none. */
export async function environmentWith(pid: number, ...wanted: string[]): Promise<string[]> {
  return await until(
    () => {
      const found = environment(pid);
      return wanted.every((v) => found.includes(v)) && found;
    },
    `${pid} has ${wanted.join(" ")}`,
  );
}

/** Every live process in whose environment a path occurs that nobody else can have: ours. */
export function carriers(path: string): number[] {
  return allStats()
    .filter((p) => p.state !== "Z" && !p.kernel)
    .map((p) => p.pid)
    .filter((pid) => environment(pid).some((v) => v.includes(path)));
}

/** Numbers of the signals that a process has handlers for. */
export function caught(pid: number): number[] {
  const [, mask = "0"] = read(`/proc/${pid}/status`)?.match(/^SigCgt:\t(\w+)$/m) ?? [];
  const bits = BigInt(`0x${mask}`);
  return Array.from({ length: 64 }, (_, i) => i + 1).filter((n) => (bits >> BigInt(n - 1)) & 1n);
}

/** Does nothing when it has gone. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  // That would be our own process group; one below 0 is meant.
  if (pid === 0) return;
  try {
    process.kill(pid, signal);
  } catch {
    // gone
  }
}
