/** The drop boxes: what touch(1) of a command does. */
import { expect } from "bun:test";
import { statSync } from "node:fs";
import { exists, place, read, touch } from "../lib/files.ts";
import { children, readStat } from "../lib/processes.ts";
import { scenario } from "../lib/scenario.ts";
import { lingeringUntil, trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

for (const [command, signal] of [
  ["term", "TERM"],
  ["hup", "HUP"],
  ["alarm", "ALRM"],
  ["int", "INT"],
  ["quit", "QUIT"],
  ["usr1", "USR1"],
  ["usr2", "USR2"],
] as const) {
  scenario(`control/${command} sends ${signal}, and nothing else changes`, async (box) => {
    const web = box.service(
      "web",
      trapping(...new Set([signal, "HUP", "ALRM", "INT", "QUIT", "USR1", "USR2"])),
    );
    await box.start();
    const pid = await web.running();
    await web.traced("ready");
    await web.command(command);
    await web.traced(signal);
    expect(web.lines.slice(-1)).toEqual([signal]);
    expect(web.pid).toBe(pid);
    expect(exists(web.file("lock"))).toBeFalse();
    expect(web.box).toEqual([]);
    await web.command("down");
    await web.command("kill");
  });
}

scenario("control/kill kills, and what is wanted is started again", async (box) => {
  const web = box.service("web", "trap '' TERM\ntrace ready\nexec sleep 3600");
  await box.start();
  await web.traced("ready");
  await web.command("kill");
  await until(() => web.status.exit === "signal KILL", "web is killed");
  await web.running();
  expect(exists(web.file("lock"))).toBeFalse();
});

scenario("control/pause stops a process for a while, control/cont lets it go on", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  const state = () => readStat(pid)?.state;
  await web.command("pause");
  await until(() => state() === "T", "web is paused");
  await web.command("cont");
  await until(() => state() === "S", "web goes on");
  expect(web.starts.length).toBe(1);
});

scenario("what is paused can be stopped", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  await web.command("pause");
  await until(() => readStat(pid)?.state === "T", "web is paused");
  await web.command("down");
  await web.is("down");
});

scenario("control/down writes the marker, control/up removes it", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  await web.command("down");
  expect(read(web.file("lock"))).toBe("");
  await web.is("down");
  await web.command("up");
  expect(exists(web.file("lock"))).toBeFalse();
  const next = await web.runningAfter(pid);
  await web.command("up");
  await web.is("up");
  expect(web.pid).toBe(next);
});

scenario("control/once writes a marker that says so, and starts what is down", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  await web.command("once");
  expect(read(web.file("lock"))).toBe("once\n");
  expect(web.pid).toBe(pid);
  await web.command("term");
  await web.is("down");
  await web.command("once");
  const next = await web.runningAfter(pid);
  expect(web.status.wanted).toBe("once");
  process.kill(next);
  await web.is("down");
  expect(web.starts.length).toBe(2);
});

scenario("control/restart stops and starts, at once, and starts what is down", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const first = await web.running();
  await web.command("restart");
  const second = await web.runningAfter(first);
  expect(web.status.exit).toBe("signal TERM");
  await web.command("down");
  await web.is("down");
  await web.command("restart");
  await web.runningAfter(second);
  expect(web.status.wanted).toBe("up");
  expect(sysmgr.count(/next start in/)).toBe(0);
});

scenario("a stop that has begun is completed before an up that follows", async (box) => {
  const gate = `${box.dir}/gate`;
  const web = box.service("web", lingeringUntil(gate));
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  await web.command("down");
  await web.traced("term");
  await web.command("up");
  expect(web.status).toMatchObject({ state: "stopping", wanted: "up", pid: String(pid) });
  touch(gate);
  const next = await web.runningAfter(pid);
  await web.traced("ready", 2);
  const lives = [`start ${pid}`, "ready", "term", "gone", `start ${next}`, "ready"];
  expect(web.lines).toEqual(lives);
});

scenario("a dozen restarts asked for during one stop are one", async (box) => {
  const gate = `${box.dir}/gate`;
  const web = box.service("web", lingeringUntil(gate));
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  for (let i = 0; i < 12; i++) await web.command("restart");
  touch(gate);
  await web.runningAfter(pid);
  await web.is("up");
  expect(web.starts.length).toBe(2);
});

scenario("once during a stop runs it once after that", async (box) => {
  const gate = `${box.dir}/gate`;
  const web = box.service("web", lingeringUntil(gate));
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  await web.command("down");
  await web.traced("term");
  await web.command("once");
  touch(gate);
  await web.runningAfter(pid);
  expect(web.status.wanted).toBe("once");
});

scenario("commands put there together are obeyed oldest first", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const sysmgr = await box.start();
  const pid = await web.running();
  await db.running();
  sysmgr.signal("SIGSTOP");
  const orders = [
    [web, "down"],
    [db, "up"],
    [web, "up"],
    [db, "down"],
  ] as const;
  for (const [service, command] of orders) {
    const path = service.file(`control/${command}`);
    touch(path);
    // Their times tell the order; the kernel's clock for these moves in steps.
    await until(() => {
      touch(`${box.dir}/clock`);
      return statSync(`${box.dir}/clock`).mtimeMs > statSync(path).mtimeMs;
    }, "a later moment");
  }
  sysmgr.signal("SIGCONT");
  await web.runningAfter(pid);
  await db.is("down");
  expect([web.status.wanted, db.status.wanted]).toEqual(["up", "down"]);
  expect([...web.box, ...db.box]).toEqual([]);
});

scenario("what is in a drop box before the service is there waits for it", async (box) => {
  const web = box.declare("web");
  await box.run(["mkdir", "-p", web.file("control")]);
  touch(web.file("control/once"));
  await box.start();
  web.install();
  await until(() => web.status.wanted === "once", "it was asked to run once");
  await until(() => web.box.length === 0, "its drop box is empty");
  await web.running();
});

scenario("a successor repeats what its predecessor had begun", async (box) => {
  const web = box.service("web", trapping("HUP"));
  const db = box.service("db");
  const first = await box.start();
  const pid = await web.running();
  await web.traced("ready");
  await db.running();
  await first.crash();
  touch(web.file("control/.hup"));
  touch(db.file("control/.down"));
  await box.start();
  await web.traced("HUP");
  await web.answered("hup");
  await db.is("down");
  expect(web.pid).toBe(pid);
  expect(db.box).toEqual([]);
});

scenario("what is no command stays where it is, and is complained of once", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  touch(web.file("control/dance\nnow"));
  await sysmgr.says(/web: not a command: dance\\x0anow/);
  await web.command("cont");
  await sysmgr.answers();
  expect(sysmgr.count(/not a command/)).toBe(1);
  expect(web.box).toEqual(["dance\nnow"]);
  expect(web.pid).toBe(pid);
});

scenario("a person may kill a service's main process; it comes back", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  const { code } = await box.run(["sh", "-c", `kill $(cat ${web.file("pid")})`]);
  expect(code).toBe(0);
  await until(() => web.status.exit === "signal TERM", "web has ended");
  await web.command("up");
  await web.runningAfter(pid);
  expect(children(sysmgr.pid).length).toBe(1);
});

scenario("sysmgr's own drop box: scan looks, shutdown ends with the code it holds", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  await sysmgr.answers();
  touch(`${box.rundir}/.control/coffee`);
  await sysmgr.says(/\.control: not a command: coffee/);
  place(`${box.rundir}/.control/shutdown`, "42\n");
  expect(await sysmgr.exited()).toBe(42);
  expect(readStat(pid)).toBeNull();
});
