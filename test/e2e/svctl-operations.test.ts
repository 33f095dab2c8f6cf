/** What each operation of svctl does, and that it is so when svctl returns. */
import { expect } from "bun:test";
import { longBackoff } from "../lib/backoff.ts";
import { exists, read } from "../lib/files.ts";
import { kill, lives, readStat } from "../lib/processes.ts";
import { scenario } from "../lib/scenario.ts";
import { trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

/** Ends a while after TERM. */
const SLOW = `trap 'trace term; sleep 0.3; trace gone; exit 0' TERM
trace ready
while :; do sleep 3600 & wait $!; kill $!; done`;

const STUBBORN = "trap '' TERM\ntrace ready\nexec sleep 3600";

for (const word of ["start", "up"]) {
  scenario(`${word} starts what is stopped; its process runs when svctl returns`, async (box) => {
    const web = box.service("web");
    await box.start();
    await web.running();
    web.mark();
    await web.is("down");
    const outcome = await box.run(["svctl", word, "web"]);
    const { pid, lock } = { pid: web.pid, lock: exists(web.file("lock")) };
    expect({ lives: lives(pid ?? 0), lock }).toEqual({ lives: true, lock: false });
    expect(outcome).toEqual({
      code: 0,
      out: expect.stringMatching(new RegExp(`^web: UP, pid ${pid}, [^\n]*\n$`)),
      err: "",
    });
  });
}

for (const word of ["stop", "down"]) {
  scenario(`${word} stops what runs; it is reaped when svctl returns`, async (box) => {
    const web = box.service("web", SLOW);
    await box.start();
    const pid = await web.running();
    await web.traced("ready");
    const outcome = await box.run(["svctl", word, "web"]);
    expect({ stat: readStat(pid), marker: read(web.file("lock")) }).toEqual({
      stat: null,
      marker: "",
    });
    expect(web.status.state).toBe("down");
    expect(web.lines.slice(-2)).toEqual(["term", "gone"]);
    expect(outcome).toEqual({
      code: 0,
      out: expect.stringMatching(/^web: DOWN, stopped, [^\n]*exited with 0\n$/),
      err: "",
    });
  });
}

scenario("start leaves alone what runs, and stop what is down; both are done", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  await box.start();
  const pid = await web.running();
  await db.running();
  db.mark();
  await db.is("down");
  expect((await box.run(["svctl", "start", "web"])).code).toBe(0);
  expect((await box.run(["svctl", "stop", "db"])).code).toBe(0);
  expect(web.pid).toBe(pid);
  expect([web.starts.length, db.starts.length]).toEqual([1, 1]);
});

scenario("restart gives another process, after the old one has ended", async (box) => {
  const web = box.service("web", SLOW);
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  const outcome = await box.run(["svctl", "restart", "web"]);
  const next = web.pid;
  expect(next).not.toBe(pid);
  expect([lives(pid), lives(next ?? 0)]).toEqual([false, true]);
  expect(outcome).toMatchObject({ code: 0, err: "" });
  expect(outcome.out).toStartWith(`web: UP, pid ${next}, `);
  await web.traced("ready", 2);
  expect(web.lines.slice(2, 5)).toEqual(["term", "gone", `start ${next}`]);
});

scenario("restart starts what is stopped, and removes its marker", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  web.mark();
  await web.is("down");
  expect((await box.run(["svctl", "restart", "web"])).code).toBe(0);
  expect(lives(web.pid ?? 0)).toBeTrue();
  expect(exists(web.file("lock"))).toBeFalse();
});

scenario("restarts one after the other give as many lives", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  for (let i = 0; i < 5; i++) {
    expect((await box.run(["svctl", "restart", "web"])).code).toBe(0);
    expect(web.status.runs).toBe(String(i + 2));
  }
});

scenario("once runs what is stopped, and not again when it ends", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  await web.running();
  web.mark();
  await web.is("down");
  const outcome = await box.run(["svctl", "once", "web"]);
  const pid = web.pid ?? 0;
  expect(lives(pid)).toBeTrue();
  expect(outcome).toMatchObject({ code: 0, err: "" });
  expect(outcome.out).toMatch(new RegExp(`^web: UP, pid ${pid}, .*once`));
  await web.running();
  kill(pid, "SIGTERM");
  await web.is("down");
  await sysmgr.answers();
  expect(web.starts.length).toBe(2);
});

scenario("once lets run what runs, and it is not started again", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  expect((await box.run(["svctl", "once", "web"])).code).toBe(0);
  expect(web.pid).toBe(pid);
  kill(pid, "SIGTERM");
  await web.is("down");
  await sysmgr.answers();
  expect(web.starts.length).toBe(1);
});

scenario("once is done, too, when the process has already ended", async (box) => {
  const job = box.service("job", "exit 0");
  await box.start();
  await job.is("backoff");
  job.mark();
  await job.is("down");
  const before = job.starts.length;
  const outcome = await box.run(["svctl", "once", "job"]);
  expect(outcome).toMatchObject({ code: 0, err: "" });
  await until(() => job.starts.length > before, "job ran");
  await job.is("down");
  expect(job.starts.length).toBe(before + 1);
});

scenario("kill ends what ignores TERM, and it stays down", async (box) => {
  const web = box.service("web", STUBBORN);
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  const outcome = await box.run(["svctl", "kill", "web"]);
  expect({ stat: readStat(pid), lock: exists(web.file("lock")) }).toEqual({
    stat: null,
    lock: true,
  });
  expect(web.status).toMatchObject({ state: "down", wanted: "down", exit: "signal KILL" });
  expect(outcome).toMatchObject({ code: 0, err: "" });
});

for (const [word, signal] of [
  ["hup", "HUP"],
  ["reload", "HUP"],
  ["alarm", "ALRM"],
  ["int", "INT"],
  ["quit", "QUIT"],
  ["term", "TERM"],
  ["usr1", "USR1"],
  ["usr2", "USR2"],
] as const) {
  scenario(`${word} sends ${signal}, once, and changes nothing else`, async (box) => {
    const all = ["HUP", "ALRM", "INT", "QUIT", "TERM", "USR1", "USR2"];
    const web = box.service("web", trapping(...all));
    await box.start();
    const pid = await web.running();
    await web.traced("ready");
    const outcome = await box.run(["svctl", word, "web"]);
    expect(outcome).toMatchObject({ code: 0, err: "" });
    await web.traced(signal);
    expect(web.lines).toEqual([`start ${pid}`, "ready", signal]);
    expect(web.pid).toBe(pid);
    expect(exists(web.file("lock"))).toBeFalse();
    await box.run(["svctl", "kill", "web"]);
  });
}

scenario("what ends by a signal that was asked for comes back", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.aged(1000);
  expect((await box.run(["svctl", "term", "web"])).code).toBe(0);
  await web.runningAfter(pid);
  expect(web.status.exit).toBe("signal TERM");
});

scenario("pause stops a process for a while, cont lets it go on", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  await until(() => readStat(pid)?.state === "S", "web sleeps");
  expect((await box.run(["svctl", "pause", "web"])).code).toBe(0);
  await until(() => readStat(pid)?.state === "T", "web is paused");
  expect((await box.run(["svctl", "cont", "web"])).code).toBe(0);
  await until(() => readStat(pid)?.state === "S", "web goes on");
  expect([web.pid, web.starts.length]).toEqual([pid, 1]);
});

scenario("what is paused can be stopped and restarted", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  for (const word of ["restart", "stop"]) {
    expect((await box.run(["svctl", "pause", "web"])).code).toBe(0);
    expect(await box.run(["svctl", word, "web"])).toMatchObject({ code: 0, err: "" });
  }
  expect(web.status).toMatchObject({ state: "down", runs: "2" });
  expect(lives(pid)).toBeFalse();
});

scenario("a signal for what is down is not sent, and svctl says so", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  web.mark();
  await web.is("down");
  for (const word of ["hup", "reload", "pause", "cont", "term", "usr2"]) {
    const outcome = await box.run(["svctl", word, "web"]);
    expect(outcome).toEqual({ code: 1, out: "", err: "svctl: web: is not running\n" });
  }
  expect(web.box).toEqual([]);
});

for (const word of ["start", "restart", "once"]) {
  scenario(`${word} does not wait for the next start that is due`, async (box) => {
    const web = box.service("web", `[ -e ${box.dir}/good ] || exit 7\nexec sleep 3600`);
    await longBackoff(box, web);
    const before = web.starts.length;
    await Bun.write(`${box.dir}/good`, "");
    const outcome = await box.run(["svctl", word, "web"]);
    expect(outcome).toMatchObject({ code: 0, err: "" });
    expect(lives(web.pid ?? 0)).toBeTrue();
    await web.running();
    expect(web.starts.length).toBe(before + 1);
  });
}

scenario("stop ends a wait for the next start", async (box) => {
  const web = box.service("web", "exit 7");
  await box.start();
  await web.is("backoff");
  expect((await box.run(["svctl", "stop", "web"])).code).toBe(0);
  expect(web.status).toMatchObject({ state: "down", wanted: "down" });
});

scenario("a start during a stop waits for both", async (box) => {
  const web = box.service("web", SLOW);
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  expect(await box.run(["svctl", "-n", "stop", "web"])).toEqual({ code: 0, out: "", err: "" });
  await web.traced("term");
  expect((await box.run(["svctl", "start", "web"])).code).toBe(0);
  expect(lives(web.pid ?? 0)).toBeTrue();
  expect(web.pid).not.toBe(pid);
  await web.traced("ready", 2);
  expect(web.lines.slice(2, 5)).toEqual(["term", "gone", `start ${web.pid}`]);
});

scenario("once during a stop runs it once more", async (box) => {
  const web = box.service("web", SLOW);
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  await box.run(["svctl", "-n", "stop", "web"]);
  await web.traced("term");
  expect(await box.run(["svctl", "once", "web"])).toMatchObject({ code: 0, err: "" });
  await web.runningAfter(pid);
  expect(web.status.wanted).toBe("once");
});

scenario("several services are dealt with at once, each in its own time", async (box) => {
  const services = ["a", "b", "c"].map((name) => box.service(name, SLOW));
  const other = box.service("other");
  await box.start();
  const pids = await Promise.all(services.map((s) => s.running()));
  for (const s of services) await s.traced("ready");
  const untouched = await other.running();
  const stopped = await box.run(["svctl", "stop", "a", "b", "c"]);
  expect(stopped).toMatchObject({ code: 0, err: "" });
  expect(pids.filter(lives)).toEqual([]);
  expect(stopped.out.match(/^[abc]: DOWN/gm)?.sort()).toEqual(["a: DOWN", "b: DOWN", "c: DOWN"]);
  const started = await box.run(["svctl", "start", "a", "b", "c"]);
  expect(started.code).toBe(0);
  expect(services.map((s) => lives(s.pid ?? 0))).toEqual([true, true, true]);
  expect(other.pid).toBe(untouched);
});

scenario("the same service twice is not too much", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  expect(await box.run(["svctl", "restart", "web", "web"])).toMatchObject({ code: 0, err: "" });
  await web.runningAfter(pid);
  expect(await box.run(["svctl", "stop", "web", "web"])).toMatchObject({ code: 0, err: "" });
  expect(web.status.state).toBe("down");
});

scenario("start works for a service that was created a moment before", async (box) => {
  await box.start();
  for (let i = 0; i < 10; i++) {
    const web = box.service(`web${i}`);
    const outcome = await box.run(["svctl", "start", web.name]);
    expect(outcome).toMatchObject({ code: 0, err: "" });
    expect(lives(web.pid ?? 0)).toBeTrue();
  }
});

for (const word of ["start", "once", "restart"]) {
  scenario(`${word} waits for a service that sysmgr has not seen yet`, async (box) => {
    const sysmgr = await box.start();
    sysmgr.signal("SIGSTOP");
    const web = box.service("web");
    const status = await box.run(["svctl", "status", "web"]);
    expect(status).toEqual({ code: 1, out: "web: DOWN, not seen yet\n", err: "" });
    const start = box.run(["svctl", word, "web"]);
    sysmgr.signal("SIGCONT");
    expect(await start).toMatchObject({ code: 0, err: "" });
    expect(lives(web.pid ?? 0)).toBeTrue();
  });
}
