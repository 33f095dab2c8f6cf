/** sysmgr dies, and another one takes its place: no service notices, nothing is lost. */
import { expect } from "bun:test";
import { longBackoff } from "../lib/backoff.ts";
import { exists, list, makeDirectory, read, write } from "../lib/files.ts";
import { kill, lives } from "../lib/processes.ts";
import { patientScenario, scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

scenario("a successor takes over every service and restarts none", async (box) => {
  const services = ["web", "db", "mail"].map((name) => box.service(name));
  const first = await box.start();
  const pids = await Promise.all(services.map((s) => s.running()));
  await first.crash();
  expect(pids.every(lives)).toBeTrue();
  const second = await box.start();
  await second.says(/took over 3 running services/);
  expect(services.map((s) => s.pid)).toEqual(pids);
  await second.crash();
  const third = await box.start();
  await third.answers();
  expect(services.map((s) => s.pid)).toEqual(pids);
  expect(services.map((s) => s.starts.length)).toEqual([1, 1, 1]);
  expect(services.map((s) => s.status.runs)).toEqual(["1", "1", "1"]);
});

scenario("commands, markers and signals reach what was taken over", async (box) => {
  // What it leaves behind when it ends would be no child of sysmgr's: it leaves nothing for long.
  const script = "trap exit TERM; trap 'trace HUP' HUP; trace ready; while :; do sleep 0.1; done";
  const web = box.service("web", script);
  const first = await box.start();
  const pid = await web.running();
  await web.traced("ready");
  await first.crash();
  await box.start();
  await web.command("hup");
  await web.traced("HUP");
  await web.command("restart");
  const next = await web.runningAfter(pid);
  web.mark();
  await web.is("down");
  expect([lives(pid), lives(next)]).toEqual([false, false]);
});

patientScenario("the end of what was taken over is noticed, and answered", async (box) => {
  const web = box.service("web");
  const first = await box.start();
  const pid = await web.aged(1000);
  await first.crash();
  await box.start();
  kill(pid, "SIGKILL");
  await web.runningAfter(pid);
  expect(web.status).toMatchObject({ runs: "2", exit: "unknown" });
  expect(web.status.short).toBeUndefined();
});

scenario("what ended meanwhile is started again, what was stopped stays down", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const first = await box.start();
  const pid = await web.running();
  await db.running();
  await db.command("down");
  await db.is("down");
  await first.crash();
  kill(pid, "SIGKILL");
  await until(() => !lives(pid), "web has ended");
  const second = await box.start();
  await second.answers();
  await until(() => web.status.exit === "unknown", "web's end is written down");
  await web.command("up");
  await web.runningAfter(pid);
  expect(db.status).toMatchObject({ state: "down", wanted: "down", exit: "signal TERM" });
  expect(db.starts.length).toBe(1);
});

scenario("a marker made while there was no sysmgr counts", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const first = await box.start();
  await web.running();
  const pid = await db.running();
  await first.crash();
  web.mark();
  db.mark("once");
  await box.start();
  await web.is("down");
  await until(() => db.status.wanted === "once", "db is wanted once");
  expect(db.pid).toBe(pid);
});

patientScenario("what was removed while there was no sysmgr is stopped", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const first = await box.start();
  const pid = await web.running();
  await db.running();
  await first.crash();
  web.uninstall();
  await box.start();
  await box.gone(web);
  expect(lives(pid)).toBeFalse();
  expect(db.starts.length).toBe(1);
});

scenario("a spawn that was not written down any more is found and taken over", async (box) => {
  const web = box.service("web", "sleep 3601 &\nexec sleep 3600");
  // It had not been started when that was written.
  const since = `since=${(Date.now() / 1000).toFixed(3)}`;
  const first = await box.start();
  const pid = await web.running();
  await first.crash();
  const status = read(web.file("status")) ?? "";
  const before = status.replace(/^(pid|start)=.*\n/gm, "").replace(/^state=.*/, "state=starting");
  write(web.file("status"), before.replace(/^runs=.*/m, "runs=0").replace(/^since=.*/m, since));
  await box.start();
  await until(() => web.pid === pid, "web is taken over");
  expect([web.starts.length, web.status.runs]).toEqual([1, "1"]);
});

scenario("a successor goes on with a wait", async (box) => {
  const web = box.service("web", "exit 3");
  const first = await longBackoff(box, web);
  const lives = web.starts.length;
  await first.crash();
  const later = `next=${(Date.now() / 1000 + 100).toFixed(3)}`;
  write(web.file("status"), (read(web.file("status")) ?? "").replace(/^next=.*$/m, later));
  const second = await box.start();
  await second.answers();
  expect(web.status).toMatchObject({ state: "backoff", wanted: "up", exit: "3" });
  expect(web.starts.length).toBe(lives);
  await web.command("up");
  await until(() => web.starts.length > lives, "up ends the wait");
});

scenario("a RUNDIR of another boot is emptied", async (box) => {
  const web = box.service("web");
  const first = await box.start();
  const pid = await web.running();
  await first.crash();
  kill(pid, "SIGKILL");
  await until(() => !lives(pid), "web has ended");
  write(web.file("status"), (read(web.file("status")) ?? "").replace(/^boot=.*$/m, "boot=other"));
  web.mark();
  makeDirectory(`${box.rundir}/old/control`);
  const second = await box.start();
  await web.runningAfter(pid);
  expect(second.messages).toMatch(/another boot/);
  expect([exists(web.file("lock")), list(`${box.rundir}/old`)]).toEqual([false, []]);
});

scenario("a shutdown stops what was taken over, in order and for good", async (box) => {
  const [web, db] = [box.service("web", "sleep 3601 &\nexec sleep 3600"), box.service("db")];
  const first = await box.start();
  await web.running();
  await db.running();
  await first.crash();
  const second = await box.start();
  await second.stop();
});

scenario("sysmgr killed again and again leaves one process of each service", async (box) => {
  const services = ["web", "db", "mail", "log"].map((name) => box.service(name));
  for (let round = 0; round < 10; round++) {
    const sysmgr = await box.start();
    await services[round % 4]?.command("restart");
    await sysmgr.crash();
  }
  await box.start();
  for (const service of services) {
    await service.running();
    expect(service.starts.filter(lives)).toEqual([service.pid ?? 0]);
  }
});
