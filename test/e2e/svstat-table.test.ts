/** svstat beside Debian's, about services that nobody runs (test/lib/forgery.ts). */
import { describe, test } from "bun:test";
import { DaemontoolsTable, haveDaemontools } from "../lib/daemontools.ts";

const table = new DaemontoolsTable();

describe.skipIf(!haveDaemontools)("svstat does as the original", () => {
  test("in every state, and where there is no service", async () => {
    // daemontools have no word for what runs once; the forgery is in runit's.
    const services = table.services.filter((name) => table.stateOf(name) !== "running once");
    const names = [...services, ...table.odd, ...table.paths];
    await table.compare(names.map((name) => ["svstat", name]));
    await table.compare([["svstat"], ["svstat", ...names]]);
  });
});
