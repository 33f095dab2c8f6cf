/** What sysmgr-depends tells on a terminal while it waits, and where it tells nothing. */
import { expect } from "bun:test";
import { DEPENDS, needing, waits } from "../lib/depends.ts";
import { read } from "../lib/files.ts";
import { BIN } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { OnTerminal } from "../lib/terminal.ts";
import { until } from "../lib/until.ts";

patientScenario("by hand it tells for whom it waits, until they are up", async (box) => {
  const [db, web] = [box.service("db"), box.service("web")];
  await box.start();
  await box.run(["svctl", "stop", "db", "web"]);
  const terminal = new OnTerminal(box, [DEPENDS, "web", "db"]);
  await terminal.says(/^\r\^\[\[Kwaiting for web, db$/);
  web.unmark();
  await terminal.says(/\r\^\[\[Kwaiting for db$/);
  db.unmark();
  expect(await terminal.child.exited).toBe(0);
  await terminal.says(/waiting for db\r\^\[\[K$/);
});

patientScenario("when the time is over it gives way to what is wrong", async (box) => {
  box.service("db");
  await box.start();
  await box.run(["svctl", "stop", "db"]);
  const terminal = new OnTerminal(box, [DEPENDS, "-t", "7", "db"]);
  expect(await terminal.child.exited).toBe(1);
  await terminal.says(/waiting for db\r\^\[\[Ksysmgr-depends: db: not up after 7 s/);
});

patientScenario("in a service nothing is told on the terminal of sysmgr", async (box) => {
  const [db, web] = [box.declare("db"), box.service("web", needing("-t", "3", "db"))];
  db.install("", 0o644);
  const terminal = new OnTerminal(box, [`${BIN}/sysmgr`, "-q"]);
  await until(() => read(`${box.rundir}/web/status`), "web is known");
  await waits(web);
  await web.traced("failed 1");
  await terminal.says(/not up after 3 s/);
  expect(terminal.said).not.toMatch(/waiting for|\^\[/);
  terminal.child.kill("SIGTERM");
  expect(await terminal.child.exited).toBe(0);
});
