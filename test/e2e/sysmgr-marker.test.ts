/** The stop marker: what touch(1) and rm(1) of NAME/lock do. */
import { expect } from "bun:test";
import { exists, remove, touch } from "../lib/files.ts";
import { readStat } from "../lib/processes.ts";
import { scenario } from "../lib/scenario.ts";
import { lingeringUntil } from "../lib/service.ts";
import { until } from "../lib/until.ts";

scenario("touch lock stops a service, rm lock starts it", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  web.mark();
  await web.is("down");
  expect(readStat(pid)).toBeNull();
  expect(web.status).toMatchObject({ wanted: "down", exit: "signal TERM" });
  web.unmark();
  await web.runningAfter(pid);
  expect(web.status.wanted).toBe("up");
});

scenario("what is marked is not started, before or while sysmgr runs", async (box) => {
  const web = box.service("web");
  const db = box.declare("db");
  await box.run(["mkdir", "-p", web.directory, db.directory]);
  web.mark();
  db.mark();
  const sysmgr = await box.start();
  db.install();
  await web.is("down");
  await db.is("down");
  await sysmgr.answers();
  expect([...web.starts, ...db.starts]).toEqual([]);
  expect(web.status).toMatchObject({ wanted: "down", runs: "0" });
  web.unmark();
  await web.running();
});

for (const word of ["once", "0"]) {
  scenario(`a marker that says ${word} lets it run on, but not again`, async (box) => {
    const web = box.service("web");
    const sysmgr = await box.start();
    const pid = await web.running();
    web.mark(word);
    await until(() => web.status.wanted === "once", "web is wanted once");
    expect(web.pid).toBe(pid);
    process.kill(pid);
    await web.is("down");
    await sysmgr.answers();
    expect(web.starts.length).toBe(1);
    web.unmark();
    await web.runningAfter(pid);
  });
}

for (const [word, signal] of [
  ["INT", "INT"],
  ["sigquit", "QUIT"],
  ["10", "USR1"],
] as const) {
  scenario(`a marker that says ${word} stops with ${signal}`, async (box) => {
    const web = box.service("web");
    await box.start();
    await web.running();
    web.mark(word);
    await web.is("down");
    expect(web.status.exit).toBe(`signal ${signal}`);
  });
}

scenario("a marker that names no signal stops with TERM", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  web.mark("do not run this; $(id)");
  await web.is("down");
  expect(web.status.exit).toBe("signal TERM");
});

scenario("a signal written into the marker during a stop is sent, too", async (box) => {
  const web = box.service("web", `trap '' TERM\ntrace ready\nexec sleep 3600`);
  await box.start();
  await web.traced("ready");
  web.mark();
  await web.is("stopping");
  web.mark("KILL");
  await web.is("down");
  expect(web.status.exit).toBe("signal KILL");
});

scenario("a marker made during a restart wins", async (box) => {
  const gate = `${box.dir}/gate`;
  const web = box.service("web", lingeringUntil(gate));
  await box.start();
  await web.traced("ready");
  await web.command("restart");
  await web.traced("term");
  web.mark();
  touch(gate);
  await web.is("down");
  expect(web.starts.length).toBe(1);
});

scenario("a marker that goes during the stop starts it again after that", async (box) => {
  const gate = `${box.dir}/gate`;
  const web = box.service("web", lingeringUntil(gate));
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  web.mark();
  await web.traced("term");
  web.unmark();
  touch(gate);
  const next = await web.runningAfter(pid);
  expect(web.lines.slice(2, 5)).toEqual(["term", "gone", `start ${next}`]);
});

scenario("a marker that is no file stops, too", async (box) => {
  const web = box.service("web");
  const db = box.service("db");
  await box.start();
  await web.running();
  await db.running();
  await box.run(["mkdir", web.file("lock")]);
  await box.run(["ln", "-s", "/etc/passwd", db.file("lock")]);
  await web.is("down");
  await db.is("down");
  remove(db.file("lock"));
  await db.running();
  await web.command("up");
  await web.running();
  expect(exists(web.file("lock"))).toBeFalse();
});
