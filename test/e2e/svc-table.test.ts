/** svc beside Debian's, for services that nobody runs (test/lib/forgery.ts). */
import { describe, test } from "bun:test";
import { DaemontoolsTable, haveDaemontools } from "../lib/daemontools.ts";

const table = new DaemontoolsTable();

describe.skipIf(!haveDaemontools)("svc does as the original", () => {
  test("every letter and every pair of them, in order and once", async () => {
    const letters = [..."udopchaitk"];
    const pairs = letters.flatMap((a) => letters.map((b) => [`-${a}${b}`]));
    const more = [["-u", "-d"], ["-udopchaitk"], ["-ktiahcpodu"], ["-hhh", "-h"], ["--"], []];
    const options = [...letters.map((l) => [`-${l}`]), ...pairs, ...more];
    const rows = options.map((option, i) => {
      table.forgery.add(`c${i}`, { state: "running" });
      return ["svc", ...option, `c${i}`];
    });
    await table.compare(rows);
  });

  test("where there is no service, and wrong usage", async () => {
    const usage = [["-z"], ["-u", "-z", "s0"], ["-uz", "s0"], ["--"], ["--nonsense", "s0"], ["-"]];
    const rows = [...table.odd, ...table.paths].map((name) => ["svc", "-u", name]);
    const all = ["svc", "-h", ...table.odd, "s0"];
    await table.compare([...rows, ...usage.map((words) => ["svc", ...words]), ["svc"], all], 1);
  });
});
