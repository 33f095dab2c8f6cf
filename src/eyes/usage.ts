/** What the sessions of services use, from /proc. */
import * as libc from "../libc.ts";
import * as proc from "../proc.ts";
import type { ProcessId } from "../status.ts";

/** Of all processes of a session together. */
export type Usage = {
  /** CPU seconds, with those of children that have ended and were waited for. */
  cpu: number;
  /** Resident, in bytes; pages that several share count for each of them. */
  memory: number;
  threads: number;
  readonly pids: number[];
};

/** Fields of /proc/PID/stat (proc(5)), counted from the third. */
const FIELD = { utime: 11, stime: 12, cutime: 13, cstime: 14, threads: 17, started: 19, rss: 21 };
const PAGE = 4_096;

type Process = {
  readonly started: number;
  /** Its own CPU clock when it was looked at: while that stands still, nothing else has changed. */
  readonly clock: number;
  readonly cpu: number;
  readonly memory: number;
  readonly threads: number;
};

export class UsageMeter {
  private processes = new Map<number, Process>();

  /**
   * By the pid of the session's leader, who is a service's main process. A leader that is another
   * process by now, or runs in another pid namespace, has no entry.
   */
  measure(leaders: readonly ProcessId[]): Map<number, Usage> {
    const started = new Map(leaders.map((l) => [l.pid, l.started]));
    const found = new Map<number, Usage>();
    const processes = new Map<number, Process>();
    for (const pid of proc.allPids()) {
      // getsid(2) and a clock are forty times cheaper than to read a file in /proc.
      const session = libc.getsid(pid);
      if (!started.has(session)) continue;
      const process = look(pid, this.processes.get(pid));
      if (!process) continue;
      processes.set(pid, process);
      const usage = found.get(session) ?? { cpu: 0, memory: 0, threads: 0, pids: [] };
      usage.cpu += process.cpu;
      usage.memory += process.memory;
      usage.threads += process.threads;
      usage.pids.push(pid);
      found.set(session, usage);
    }
    for (const [pid, start] of started) {
      if (processes.get(pid)?.started !== start) found.delete(pid);
    }
    this.processes = processes;
    return found;
  }
}

function look(pid: number, before: Process | undefined): Process | null {
  const clock = libc.cpuTime(pid);
  if (before && before.clock === clock && clock > 0) return before;
  const fields = proc.statFields(pid);
  if (!fields) return null;
  const field = (name: keyof typeof FIELD) => Number(fields[FIELD[name]]);
  const ticks = field("utime") + field("stime") + field("cutime") + field("cstime");
  return {
    started: field("started"),
    clock,
    cpu: ticks / proc.TICKS_PER_SECOND,
    memory: field("rss") * pageSize(),
    threads: field("threads"),
  };
}

/** How many descriptors those processes have open; null where that is not ours to know. */
export function descriptorsOf(pids: readonly number[]): number | null {
  const counts = pids.map(openDescriptors).filter((n) => n !== null);
  return counts.length > 0 ? counts.reduce((a, b) => a + b) : null;
}

function openDescriptors(pid: number): number | null {
  const path = `/proc/${pid}/fd`;
  // Whoever may not list them may see the size, which Linux 6.2 and later have there.
  const stat = libc.stat(path);
  if (typeof stat === "number") return null;
  if (stat.size > 0) return stat.size;
  const names = libc.readDirectory(path);
  return typeof names === "number" ? null : names.length;
}

let page = 0;

/** AT_PAGESZ of the auxiliary vector (getauxval(3)): 4 KiB, but not on every arm64. */
function pageSize(): number {
  if (page > 0) return page;
  const vector = libc.readFile("/proc/self/auxv");
  const words = Buffer.from(typeof vector === "string" ? vector : "", "latin1");
  for (let at = 0; at + 16 <= words.length; at += 16) {
    if (words.readBigUInt64LE(at) === 6n) page = Number(words.readBigUInt64LE(at + 8));
  }
  page ||= PAGE;
  return page;
}
