// A disk of one run, small enough to be filled.
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Run, Setting } from "./run.ts";
import { withRun } from "./scenario.ts";

export const SIZE = "1m";
/** What is given back is taken again so often. */
export const REFILL_MS = 20;
const PAGE = new Uint8Array(4096);

const mounted = new Set<string>();

/** Takes all room, and keeps it taken until the function that it returns is called. */
export type Fill = () => () => void;

/** Makes a run whose services and state are on a small disk, and does something with both. */
export async function onSmallDisk<T>(
  setting: Setting,
  act: (run: Run, fill: Fill) => Promise<T>,
): Promise<T> {
  const home = join(setting.root, "disk");
  mount(home);
  // Unmounted first: the end of a run removes its directories.
  return await withRun({ ...setting, home }, (run) =>
    act(run, () => fill(join(home, "filler"))).finally(() => unmount(home)),
  ).finally(() => unmount(home));
}

function fill(path: string): () => void {
  const fd = openSync(path, "a");
  const take = (): void => {
    try {
      for (;;) writeSync(fd, PAGE);
    } catch {
      // ENOSPC is what is wanted
    }
  };
  take();
  const timer = setInterval(take, REFILL_MS);
  let open = true;
  return () => {
    if (!open) return;
    open = false;
    clearInterval(timer);
    closeSync(fd);
    rmSync(path);
  };
}

/** In the mount namespace of this program, which ends with it. */
function mount(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const done = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${SIZE}`, "sysmgr", directory]);
  if (!done.success) throw new Error(done.stderr.toString().trim());
  mounted.add(directory);
}

/** Lazily: processes of the run may still be there. */
function unmount(directory: string): void {
  if (mounted.delete(directory)) Bun.spawnSync(["umount", "-l", directory]);
}

/** For the end of the whole program. */
export function unmountAll(): void {
  for (const directory of mounted) unmount(directory);
}
