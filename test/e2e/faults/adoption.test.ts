/**
 * sysmgr is killed with -9, and its successor finds a RUNDIR that tells the truth, half of it, or
 * lies: nothing is started twice, no stranger is taken for a service or signalled, nothing that was
 * asked for meanwhile is lost. (sysmgr-adopt has the plain cases.)
 */
import { expect } from "bun:test";
import { chownSync } from "node:fs";
import { needing, waits } from "../../lib/depends.ts";
import {
  exists,
  link,
  makeDirectory,
  place,
  read,
  remove,
  rename,
  touch,
  write,
} from "../../lib/files.ts";
import { forge, identity, now, Stranger, startByHand } from "../../lib/forge.ts";
import { children, kill, lives, readStat } from "../../lib/processes.ts";
import { have, patientScenario, scenario } from "../../lib/scenario.ts";
import { type Service, STAY, trapping } from "../../lib/service.ts";
import { until } from "../../lib/until.ts";

/** Notes the TERM that it should never get, and stays. */
const UNTOUCHED = `trap 'trace TERM' TERM HUP INT CONT
trace ready
while :; do sleep 3600 & wait $!; kill $!; done`;

/** Leaves nothing behind when it is stopped: that would be no child of a successor's. */
const TIDY = "trap 'kill $!; exit' TERM";

/** Ends with this code as soon as it is told to. */
const exiting = (code: number) =>
  `${TIDY}\ntrap 'kill $!; exit ${code}' USR1\ntrace ready\nwhile :; do sleep 3600 & wait $!; done`;

scenario("what was taken over is controlled, shown and waited for as before", async (box) => {
  const names = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM"];
  const [web, db] = [box.service("web", `${TIDY}\n${trapping(...names)}`), box.service("db")];
  const first = await box.start();
  const [pid, other] = [await web.running(), await db.running()];
  await web.traced("ready");
  await web.is("up");
  await first.crash();
  await box.start();

  const status = await box.run(["svctl", "status", "web", "db"]);
  expect(status.out).toMatch(new RegExp(`^web: UP, pid ${pid}, .*\ndb: .*pid ${other}, .*\n$`));
  for (const [i, operation] of ["hup", "int", "quit", "usr1", "usr2", "alarm"].entries()) {
    expect(await box.run(["svctl", operation, "web"])).toMatchObject({ code: 0, err: "" });
    await web.traced(names[i] ?? "");
  }
  await box.run(["svctl", "pause", "db"]);
  await until(() => readStat(other)?.state === "T", "db is stopped by STOP");
  await box.run(["svctl", "cont", "db"]);
  await until(() => readStat(other)?.state === "S", "db goes on");
  const app = box.service("app", needing("web", "db"));
  await app.traced("go");

  expect(await box.run(["svctl", "restart", "db"])).toMatchObject({ code: 0, err: "" });
  const next = await db.runningAfter(other);
  expect(db.status).toMatchObject({ runs: "2", exit: "unknown" });
  expect(children(Number(read(`${box.rundir}/pid`))).map((p) => p.pid)).toContain(next);
  expect(await box.run(["svctl", "stop", "web"])).toMatchObject({ code: 0, err: "" });
  expect(web.status).toMatchObject({ state: "down", wanted: "down", exit: "unknown" });
  expect([lives(pid), web.starts.length]).toEqual([false, 1]);
});

scenario("the end of one taken over is answered by its marker, or a start", async (box) => {
  const services = ["again", "once", "later"].map((name) => box.service(name, exiting(3)));
  const [again, once, later] = services as [Service, Service, Service];
  const first = await box.start();
  for (const service of services) await service.traced("ready");
  const [pid, single, untouched] = await Promise.all(services.map((s) => s.running()));
  await once.command("once");
  await first.crash();
  await box.start();
  kill(pid ?? 0, "SIGUSR1");
  kill(single ?? 0, "SIGUSR1");
  await again.runningAfter(pid ?? 0);
  await once.is("down");
  expect(again.status.exit).toBe("unknown");
  expect(once.status).toMatchObject({ wanted: "once", exit: "unknown", runs: "1" });
  expect(later.pid).toBe(untouched ?? 0);
});

scenario("commands that were left in drop boxes meanwhile are carried out", async (box) => {
  const names = ["hup", "down", "restart", "begun", "once"];
  const body = `${TIDY}\n${trapping("HUP", "USR1")}`;
  const services = names.map((name) => box.service(name, body));
  const [hup, down, restart, begun, once] = services as [
    Service,
    Service,
    Service,
    Service,
    Service,
  ];
  const first = await box.start();
  for (const service of services) await service.traced("ready");
  await down.running();
  const pid = await restart.running();
  await first.crash();
  touch(hup.file("control/hup"));
  touch(down.file("control/down"));
  touch(restart.file("control/restart"));
  // Taken by the predecessor, who did not come to act on it.
  touch(begun.file("control/.usr1"));
  touch(once.file("control/once"));
  await box.start();
  await hup.traced("HUP");
  await down.is("down");
  await restart.runningAfter(pid);
  await begun.traced("USR1");
  await until(() => once.status.wanted === "once", "once is wanted once");
  for (const service of services) await until(() => service.box.length === 0, "all is answered");
  expect([hup, begun, once].map((s) => s.starts.length)).toEqual([1, 1, 1]);
  expect(exists(down.file("lock"))).toBeTrue();
});

scenario("a stop that was under way is completed, the start after it too", async (box) => {
  const slow = `trap 'trap "" TERM; trace term; sleep 0.5; trace gone; exit 0' TERM
trace ready
while :; do sleep 0.1; done`;
  const [web, db] = [box.service("web", slow), box.service("db", slow)];
  const first = await box.start();
  await web.traced("ready");
  await db.traced("ready");
  const pid = await web.running();
  touch(web.file("control/restart"));
  touch(db.file("control/down"));
  await web.traced("term");
  await db.traced("term");
  await first.crash();
  await box.start();
  await web.runningAfter(pid);
  await db.is("down");
  expect([web.count("gone"), db.starts.length, web.starts.length]).toEqual([1, 1, 2]);
});

scenario("what was to run once more after a stop that was under way does so", async (box) => {
  const web = box.service("web");
  const first = await box.start();
  const pid = await web.running();
  await first.crash();
  forge(web, { state: "stopping", wanted: "once" });
  web.mark("once\n");
  await box.start();
  await web.runningAfter(pid);
  expect([lives(pid), web.status.wanted, web.starts.length]).toEqual([false, "once", 2]);
});

scenario("a restart-delay of an hour goes on where it was", async (box) => {
  const web = box.declare("web");
  web.installDirectory("exit 7", {}, { "restart-delay": "3600" });
  const first = await box.start();
  await web.is("backoff");
  const { next } = web.status;
  await first.crash();
  const second = await box.start();
  await second.answers();
  // What it is written from is what the successor waits for.
  remove(web.file("status"));
  await web.is("backoff");
  expect(web.starts.length).toBe(1);
  expect(Math.abs(Number(web.status.next) - Number(next))).toBeLessThan(1);
});

scenario("the marker of a service that is gone takes no process over", async (box) => {
  const web = box.declare("web");
  makeDirectory(web.directory);
  touch(web.file("lock"));
  place(`${box.dir}/stranger`, web.script(UNTOUCHED), 0o755);
  const env = { RUNDIR: box.rundir, SYSMGR_SERVICE: "web" };
  const stranger = new Stranger(box, `${box.dir}/stranger`, env);
  await web.traced("ready");
  const sysmgr = await box.start();
  await sysmgr.answers();
  expect([sysmgr.count(/web/), web.count("TERM"), lives(stranger.pid)]).toEqual([0, 0, true]);
  await stranger.end();
});

patientScenario("its control/u is not taken for a service", async (box) => {
  const web = box.declare("web");
  const gate = `${box.dir}/gate`;
  const prepare = `trace u $$; while [ ! -e ${gate} ]; do sleep 0.1; done; exit 0`;
  web.installDirectory(STAY, { "control/u": prepare }, { restart: "never" });
  const first = await box.start();
  const told = () => web.lines.filter((line) => line.startsWith("u "));
  await until(() => told().length === 1, "it runs");
  await first.crash();
  await box.start();
  await until(() => told().length === 2, "the successor begins again");
  expect([web.status.state, web.pid]).toEqual(["starting", null]);
  touch(gate);
  const pid = await web.running();
  expect(web.starts).toEqual([pid]);
});

scenario("a stop written down but not yet carried out is carried out", async (box) => {
  const web = box.service("web");
  const first = await box.start();
  const pid = await web.running();
  await first.crash();
  forge(web, { state: "stopping", wanted: "down" });
  web.mark();
  await box.start();
  await web.is("down");
  expect(lives(pid)).toBeFalse();
});

patientScenario("the wait after short lives goes on where it was", async (box) => {
  const web = box.service("web", "exit 7");
  for (let round = 0; round < 3; round++) {
    const sysmgr = await box.start();
    const { next: due, runs } = await until(
      () => {
        const { status } = web;
        return Number(status.short) > round && status.state === "backoff" && status;
      },
      `${round + 1} short lives`,
    );
    await sysmgr.crash();
    if (round < 2) continue;
    await box.start();
    // Not before it was due; on a slow machine that is over when we look.
    const { next, since, ...status } = web.status;
    if (next === due) expect(status).toMatchObject({ state: "backoff", exit: "7", runs });
    else expect(Number(since)).toBeGreaterThanOrEqual(Number(due));
  }
});

scenario("what waits in sysmgr-depends goes on waiting, and then goes", async (box) => {
  const [web, db] = [box.service("web", needing("db")), box.declare("db").install(STAY, 0o644)];
  const first = await box.start();
  const [waiter] = await waits(web);
  await first.crash();
  await box.start();
  expect(await waits(web)).toEqual([waiter ?? 0]);
  db.install();
  await web.traced("go");
  await web.is("up");
  expect(web.starts.length).toBe(1);
});

// ------------------------------------------- killed between a spawn and its record

scenario("a process that was started but not written down is the only one", async (box) => {
  const web = box.service("web", `${TIDY}\n${trapping("HUP")}`);
  makeDirectory(box.rundir);
  const since = now();
  const process = startByHand(box, web);
  await web.traced("ready");
  forge(web, { state: "starting", since });
  const sysmgr = await box.start();
  expect(await web.running()).toBe(process.pid);
  await sysmgr.says(/took over 1 running services/);
  await web.command("hup");
  await web.traced("HUP");
  await web.is("up");
  expect(web.starts).toEqual([process.pid]);
  const { start } = identity(process.pid);
  expect(web.status).toMatchObject({ runs: "1", pid: String(process.pid), start: String(start) });
  await web.command("restart");
  await web.runningAfter(process.pid);
  await process.end();
});

scenario("what an earlier life left running is not taken for the service", async (box) => {
  const web = box.service("web", UNTOUCHED);
  makeDirectory(box.rundir);
  // A daemon in a session of its own, with the environment that every child of a service has.
  const daemon = startByHand(box, web);
  await web.traced("ready");
  const begun = identity(daemon.pid).start;
  const tick = () => Math.floor(Number(read("/proc/uptime")?.split(" ")[0]) * 100);
  await until(() => tick() > begun + 250, "it is older than what is sought");
  const since = now();
  const process = startByHand(box, web);
  await web.traced("ready", 2);
  forge(web, { state: "starting", runs: 5, since });
  await box.start();
  await until(() => web.pid !== null, "web is taken over, or started");
  expect(web.pid).toBe(process.pid);
  await daemon.end();
  await process.end();
});

scenario("who works for another RUNDIR, or leads no session, is not taken over", async (box) => {
  const web = box.service("web", UNTOUCHED);
  makeDirectory(box.rundir);
  const follower = `${box.dir}/follower`;
  const env = `RUNDIR=${box.rundir} SYSMGR_SERVICE=web`;
  write(follower, `#!/bin/sh\nenv ${env} sleep 3600 & echo $! >${follower}.pid; wait\n`, 0o755);
  const elsewhere = startByHand(box, web, { RUNDIR: `${box.rundir}2` });
  const other = startByHand(box, web, { SYSMGR_SERVICE: "web2" });
  const outside = { RUNDIR: "/nonexistent" };
  const strangers = [elsewhere, other, new Stranger(box, follower, outside)];
  await web.traced("ready", 2);
  const pid = await until(() => Number(read(`${box.dir}/follower.pid`)), "the follower runs");
  forge(web, { state: "starting" });
  const sysmgr = await box.start();
  await web.traced("ready", 3);
  expect([...strangers.map((s) => s.pid), pid]).not.toContain(await web.running());
  web.mark("KILL");
  await web.is("down");
  await sysmgr.stop();
  expect([...strangers.map((s) => s.pid), pid].map(lives)).toEqual([true, true, true, true]);
  expect(web.count("TERM")).toBe(0);
  for (const stranger of strangers) await stranger.end();
});

scenario("written down as starting, and nothing was started: it is started now", async (box) => {
  const web = box.service("web");
  makeDirectory(box.rundir);
  forge(web, { state: "starting" });
  await box.start();
  await web.running();
  expect(web.starts.length).toBe(1);
});

// ------------------------------------------------------------ a RUNDIR that lies

for (const [what, state, changes] of [
  ["up", "up", {}],
  ["to be stopped", "stopping", { wanted: "down" }],
  ["paused in the middle of a stop", "stopping", { wanted: "up" }],
] as const) {
  scenario(`a recycled pid, written down as ${what}, is left alone`, async (box) => {
    const [web, stranger] = [box.service("web"), box.declare("stranger")];
    write(`${box.dir}/stranger`, stranger.script(UNTOUCHED), 0o755);
    const process = new Stranger(box, `${box.dir}/stranger`);
    await stranger.traced("ready");
    makeDirectory(box.rundir);
    const { pid, start } = identity(process.pid);
    forge(web, { state, runs: 1, pid, start: start - 1, ...changes });
    if ("wanted" in changes && changes.wanted === "down") web.mark();
    const sysmgr = await box.start();
    expect(sysmgr.messages).not.toContain("took over");
    for (const command of ["term", "kill", "hup", "down"]) await web.command(command);
    await web.is("down");
    await web.command("up");
    expect(await web.running()).not.toBe(pid);
    await sysmgr.stop();
    expect([lives(pid), stranger.lines]).toEqual([true, [`start ${pid}`, "ready"]]);
    await process.end();
  });
}

for (const [key, value] of [
  ["boot", "00000000-0000-4000-8000-000000000000"],
  ["pidns", "4026531000"],
] as const) {
  scenario(`a RUNDIR with another ${key} is emptied, and its pids mean nothing`, async (box) => {
    const [web, stranger] = [box.service("web"), box.declare("stranger")];
    write(`${box.dir}/stranger`, stranger.script(UNTOUCHED), 0o755);
    const process = new Stranger(box, `${box.dir}/stranger`);
    await stranger.traced("ready");
    makeDirectory(box.rundir);
    forge(web, { state: "up", runs: 9, ...identity(process.pid), [key]: value });
    web.mark();
    touch(web.file("control/kill"));
    makeDirectory(`${box.rundir}/gone/control`);
    const sysmgr = await box.start();
    const pid = await web.running();
    expect(pid).not.toBe(process.pid);
    expect([web.status.runs, exists(`${box.rundir}/gone`)]).toEqual(["1", false]);
    await sysmgr.stop();
    expect([lives(process.pid), stranger.count("TERM")]).toEqual([true, 0]);
    await process.end();
  });
}

scenario("one status of another boot costs the others nothing", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const first = await box.start();
  const pid = await web.running();
  const other = await db.running();
  await first.crash();
  kill(other, "SIGKILL");
  await until(() => !lives(other), "db has ended");
  forge(db, { boot: "other" });
  await box.start();
  await db.runningAfter(other);
  await web.running();
  expect([web.pid, web.starts.length]).toEqual([pid, 1]);
});

scenario(
  "a status that somebody else owns is not believed",
  async (box) => {
    const [web, stranger] = [box.service("web"), box.declare("stranger")];
    write(`${box.dir}/stranger`, stranger.script(UNTOUCHED), 0o755);
    const process = new Stranger(box, `${box.dir}/stranger`);
    await stranger.traced("ready");
    makeDirectory(box.rundir);
    forge(web, { state: "stopping", runs: 3, ...identity(process.pid) });
    chownSync(web.file("status"), 65534, 65534);
    const sysmgr = await box.start();
    expect(await web.running()).not.toBe(process.pid);
    expect(web.status.runs).toBe("1");
    await sysmgr.stop();
    expect([lives(process.pid), stranger.count("TERM")]).toEqual([true, 0]);
    await process.end();
  },
  have.root,
);

scenario("a status that is a link, a FIFO, a directory or garbage is not believed", async (box) => {
  const names = ["link", "fifo", "directory", "garbage", "huge", "init", "nobody", "everybody"];
  const services = names.map((name) => box.service(name));
  makeDirectory(box.rundir);
  for (const service of services) forge(service, { state: "up", runs: 7 });
  const path = (name: string) => `${box.rundir}/${name}/status`;
  rename(path("link"), `${box.dir}/status`);
  link(`${box.dir}/status`, path("link"));
  remove(path("fifo"));
  await box.run(["mkfifo", path("fifo")]);
  remove(path("directory"));
  makeDirectory(path("directory"));
  write(path("garbage"), "\0\xff\n=\n==\nstate\nstate=\npid=pid\n".repeat(20));
  write(path("huge"), `${"x".repeat(10_000)}\n${read(path("init"))}`);
  const [init, nobody, everybody] = services.slice(-3) as [Service, Service, Service];
  forge(init, { pid: 1, start: identity(1).start });
  forge(nobody, { pid: 0, start: 0 });
  forge(everybody, { pid: -1, start: 0 });
  const sysmgr = await box.start();
  for (const service of services) {
    const pid = await service.running();
    await service.command("restart");
    await service.runningAfter(pid);
  }
  expect(sysmgr.messages).not.toContain("took over");
  expect(lives(1)).toBeTrue();
});

scenario("what ended while no sysmgr ran is answered as what it was wanted to be", async (box) => {
  const names = ["kept", "single", "ending", "stopped"];
  const services = names.map((name) => box.service(name));
  const [kept, single, ending, stopped] = services as [Service, Service, Service, Service];
  const first = await box.start();
  const pids = await Promise.all(services.map((s) => s.running()));
  await single.command("once");
  await first.crash();
  for (const pid of pids) kill(pid, "SIGKILL");
  await until(() => !pids.some(lives), "all have ended");
  forge(ending, { state: "stopping" });
  forge(stopped, { state: "stopping", wanted: "down" });
  stopped.mark();
  const second = await box.start();
  await kept.runningAfter(pids[0] ?? 0);
  await ending.runningAfter(pids[2] ?? 0);
  await single.is("down");
  await stopped.is("down");
  await second.answers();
  expect(services.map((s) => s.status.exit)).toEqual(names.map(() => "unknown"));
  expect(services.map((s) => s.starts.length)).toEqual([2, 1, 2, 1]);
});

scenario("twenty deaths in a row, each with a start under way: never two of one", async (box) => {
  const services = Array.from({ length: 8 }, (_, i) => box.service(`s${i}`, `trace on\n${STAY}`));
  for (let round = 0; round < 20; round++) {
    const sysmgr = await box.start();
    // Killed at another moment of the restarts each time.
    for (const service of services) touch(service.file("control/restart"));
    const goal = round % services.length;
    await until(() => services.filter((s) => s.box.length === 0).length >= goal, "some answered");
    await sysmgr.crash();
    const doubled = services.filter((s) => s.starts.filter(lives).length > 1);
    expect(doubled.map((s) => s.name)).toEqual([]);
  }
  const last = await box.start();
  await last.answers();
  for (const service of services) {
    const pid = await service.running();
    expect(service.starts.filter(lives)).toEqual([pid]);
  }
});
