/**
 * write-log.ts LEVEL COUNT LENGTH LINGER: so many messages of each level, of that length; says on
 * standard output how many milliseconds that took, and ends after LINGER more.
 */
import { writeSync } from "node:fs";
import { Log } from "../../src/log.ts";
import type { Level } from "../../src/transition.ts";

const [level = "info", count = "1", length = "0", linger = "0"] = process.argv.slice(2);
const log = new Log("sysmgr", level as Level);
const began = performance.now();
for (let i = 0; i < Number(count); i++) {
  for (const each of ["error", "info", "debug"] as const) {
    log.write(each, `${each} ${i} ${"x".repeat(Number(length))}`);
  }
}
writeSync(1, `${Math.round(performance.now() - began)}\n`);
await Bun.sleep(Number(linger));
