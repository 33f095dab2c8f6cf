// Seeing that something happened: the same way, at the same price, for every peer.
//
// A service marks each of its lives by appending "NAME PID" to one file before it execs
// sleep. This end looks at that file, or at /proc/PID/stat, about every 0.1 ms, so a time is
// late by 0.05 ms on average. Polling beats a FIFO here: nothing blocks, and a mark costs a
// service one write, whoever supervises it.
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";

/** Asked for per look; the kernel's timer slack makes about 0.09 ms of it. */
const NAP_MS = 0.02;
/** How long a wait may keep ctrl-C and the reaping of our children waiting. */
const YIELD_MS = 25;

const never = new Int32Array(new SharedArrayBuffer(4));

/** Monotonic milliseconds. */
export const now = (): number => Bun.nanoseconds() / 1e6;

/** Waits until `condition` holds; gives the time at which it was seen. Throws after `seconds`. */
export async function until(
  what: string,
  seconds: number,
  condition: () => boolean,
): Promise<number> {
  const deadline = now() + seconds * 1000;
  let nextYield = now() + YIELD_MS;
  for (;;) {
    if (condition()) return now();
    const time = now();
    if (time > deadline) throw new Error(`${what}: not within ${seconds} s`);
    if (time > nextYield) {
      await new Promise((resolve) => setImmediate(resolve));
      nextYield = now() + YIELD_MS;
    } else {
      Atomics.wait(never, 0, 0, NAP_MS);
    }
  }
}

/** Whether a process has ended; reaping it is its parent's affair and is not waited for. */
export function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const state = stat.charAt(stat.lastIndexOf(")") + 2);
    return state === "Z" || state === "X";
  } catch {
    return true; // ENOENT, or ESRCH when it ends between open and read
  }
}

interface Sighting {
  readonly pid: number;
  readonly at: number;
}

/** The file that services leave their marks in: for each, the pid of its newest life. */
export class Marks {
  private readonly fd: number;
  private readonly buffer = Buffer.alloc(1 << 16);
  private readonly newest = new Map<string, Sighting>();
  private partial = "";

  constructor(readonly path: string) {
    writeFileSync(path, "");
    this.fd = openSync(path, "r");
  }

  /** Takes in what was written since the last look; gives how many services have run. */
  look(): number {
    for (;;) {
      const length = readSync(this.fd, this.buffer);
      if (length === 0) return this.newest.size;
      const lines = (this.partial + this.buffer.toString("latin1", 0, length)).split("\n");
      this.partial = lines.pop() ?? "";
      for (const line of lines) this.note(line);
    }
  }

  private note(line: string): void {
    const [name, pid] = line.split(" ");
    if (name !== undefined && pid !== undefined)
      this.newest.set(name, { pid: Number(pid), at: now() });
  }

  /** The newest life of a service, if it had one. */
  of(name: string): Sighting | undefined {
    this.look();
    return this.newest.get(name);
  }

  pids(): number[] {
    this.look();
    return [...this.newest.values()].map((sighting) => sighting.pid);
  }

  close(): void {
    closeSync(this.fd);
  }
}
