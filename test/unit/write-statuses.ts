/** write-statuses.ts RUNDIR: writes the status of db again and again, until it is killed. */
import { RunDir } from "../../src/rundir.ts";
import { BLANK } from "../../src/status.ts";

const rundir = RunDir.open(process.argv[2] ?? "");
if (typeof rundir === "number") throw new Error("cannot open RUNDIR");
rundir.makeService("db");
for (let runs = 1; ; runs++) rundir.writeStatus("db", { ...BLANK, runs });
