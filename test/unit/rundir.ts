/** RUNDIRs for tests of what is in them. */
import { rmSync } from "node:fs";
import { strerror } from "../../src/libc.ts";
import { RunDir } from "../../src/rundir.ts";

export function opened(result: RunDir | number): RunDir {
  if (typeof result === "number") throw new Error(strerror(result));
  return result;
}

/** An empty one at a path, whatever was there. */
export function remade(path: string): RunDir {
  rmSync(path, { recursive: true, force: true });
  return opened(RunDir.make(path));
}
