/** A directory in memory for the tests of one file; it goes away with them. */
import { afterAll } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as libc from "../../src/libc.ts";

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

/** Does something while nothing can be opened. */
export function withoutDescriptors<T>(act: () => T): T {
  const limits = libc.getFileLimits();
  libc.setFileLimits({ ...limits, soft: 0 });
  try {
    return act();
  } finally {
    libc.setFileLimits(limits);
  }
}

export function makeFifo(path: string): string {
  Bun.spawnSync(["mkfifo", path]);
  return path;
}
