/** svok beside Debian's, about services that nobody runs (test/lib/forgery.ts). */
import { describe, test } from "bun:test";
import { DaemontoolsTable, haveDaemontools } from "../lib/daemontools.ts";

const table = new DaemontoolsTable();

describe.skipIf(!haveDaemontools)("svok does as the original", () => {
  test("in every state, and where there is no service", async () => {
    const names = [...table.services, ...table.odd, ...table.paths];
    await table.compare(names.map((name) => ["svok", name]));
    await table.compare([["svok"], ["svok", "s0", "never"], ["svok", "never", "s0"]]);
  });
});
