/** leftovers.ts: finds and ends processes by the TMPDIR in their environment, which only they have. */
import { readdirSync, readFileSync } from "node:fs";

const PATIENCE_MS = 10_000;
const STEP_MS = 50;

/** Returns "PID COMMAND" of every process whose TMPDIR is directory or below it, by pid. */
function carriers(directory: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (Number.isNaN(pid)) continue;
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
      if (!variables.some((entry) => `${entry}/`.startsWith(`TMPDIR=${directory}/`))) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      found.set(pid, `${pid} ${command}`);
    } catch {} // it has gone, or is another user's
  }
  return found;
}

/** Gives the processes that carry directory ten seconds to end, then kills them; returns the killed. */
export async function sweep(directory: string): Promise<string[]> {
  for (let waited = 0; waited < PATIENCE_MS && carriers(directory).size > 0; waited += STEP_MS) {
    await Bun.sleep(STEP_MS);
  }
  return kill(directory);
}

/** Kills them at once, until there are none: a supervisor among them may have started another. */
export async function kill(directory: string): Promise<string[]> {
  const killed = new Map<number, string>();
  for (;;) {
    const found = carriers(directory);
    if (found.size === 0) return [...killed.values()];
    for (const [pid, line] of found) {
      killed.set(pid, line);
      try {
        process.kill(pid, "SIGKILL");
      } catch {} // it has gone
    }
    await Bun.sleep(STEP_MS);
  }
}
