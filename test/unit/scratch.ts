/** A directory in memory for the tests of one file; it goes away with them. */
import { afterAll } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function scratchDirectory(): string {
  const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const dir = mkdtempSync(join(parent, "sysmgr-unit."));
  chmodSync(dir, 0o755);
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Root may read and write anything: some tests say something only for one of the two. */
export const isRoot = process.geteuid?.() === 0;

/** Does something without root's rights. */
export function unprivileged<T>(act: () => T): T {
  if (!isRoot) return act();
  process.seteuid?.(65534);
  try {
    return act();
  } finally {
    process.seteuid?.(0);
  }
}

export function makeFifo(path: string): string {
  Bun.spawnSync(["mkfifo", path]);
  return path;
}
