/** The operations that svctl has from sv, and those on sysmgr itself. */
import { expect } from "bun:test";
import { rename, touch } from "../lib/files.ts";
import { kill, lives } from "../lib/processes.ts";
import { patientScenario } from "../lib/scenario.ts";
import { lingering, STAY, trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

const STUBBORN =
  "trap 'trace term' TERM\ntrace ready\nwhile :; do sleep 3600 & wait $!; kill $!; done";

patientScenario("try-restart restarts what runs, and leaves alone what does not", async (box) => {
  const [web, idle] = [box.service("web"), box.service("idle")];
  await box.start();
  const pid = await web.running();
  await box.run(["svctl", "stop", "idle"]);
  const runs = idle.status.runs;
  const outcome = await box.run(["svctl", "try-restart", "web", "idle"]);
  expect(outcome).toEqual({ code: 0, out: expect.stringMatching(/^web: UP, [^\n]*\n$/), err: "" });
  expect(web.pid).not.toBe(pid);
  expect([idle.status.runs, idle.status.state]).toEqual([runs, "down"]);
});

patientScenario("force-stop and force-restart go on with KILL", async (box) => {
  const web = box.service("web", STUBBORN);
  await box.start();
  await web.traced("ready");
  const first = await web.running();
  expect((await box.run(["svctl", "-t", "5", "force-restart", "web"])).code).toBe(0);
  expect(lives(first)).toBeFalse();
  const second = await web.runningAfter(first);
  await web.traced("ready", 2);
  expect((await box.run(["svctl", "-t", "5", "force-stop", "web"])).code).toBe(0);
  expect([lives(second), web.status.exit, web.count("term")]).toEqual([false, "signal KILL", 2]);
});

for (const word of ["exit", "x", "shutdown"]) {
  patientScenario(`${word} stops a service and then its logger`, async (box) => {
    const [web, log] = [box.declare("web"), box.declare("web/log")];
    web.installLogged(STAY, log, "exec cat >/dev/null");
    await box.start();
    const pids = [await web.running(), await log.running()];
    const { code, out } = await box.run(["svctl", word, "web"]);
    expect([code, pids.map(lives)]).toEqual([0, [false, false]]);
    expect(out).toMatch(/^web: DOWN, [^\n]*\nweb\/log: DOWN, [^\n]*\n$/);
    expect((await box.run(["svctl", "start", "web", "web/log"])).code).toBe(0);
  });
}

patientScenario("check waits until it is as it is wanted", async (box) => {
  const web = box.declare("web");
  const gate = `${box.dir}/gate`;
  web.installDirectory(STAY, { check: `test -e ${gate}` });
  await box.start();
  const pid = await web.running();
  expect(await box.run(["svctl", "-t", "1", "check", "web"])).toEqual({
    code: 1,
    out: "",
    err: `svctl: web: not as it is wanted after 1 s (pid ${pid} is not ready)\n`,
  });
  touch(gate);
  expect((await box.run(["svctl", "check", "web"])).out).toMatch(/^web: UP/);
  await box.run(["svctl", "stop", "web"]);
  expect((await box.run(["svctl", "check", "web"])).out).toMatch(/^web: DOWN/);
});

patientScenario("check sees what comes while it waits", async (box) => {
  const web = box.service("web", lingering(0.3));
  await box.start();
  for (let round = 1; round <= 4; round++) {
    await web.traced("ready", round);
    web.mark();
    await until(() => web.status.wanted === "down", "it is to stop");
    // Long before this time is over the test would be.
    expect((await box.run(["svctl", "-t", "600", "check", "web"])).out).toMatch(/^web: DOWN/);
    web.unmark();
  }
});

patientScenario("start and restart wait for who says when it is ready", async (box) => {
  const web = box.declare("web");
  const gate = `${box.dir}/gate`;
  web.installDirectory(
    `while [ ! -e ${gate} ]; do sleep 0.1; done\ntrace ready\necho >&7\n${STAY}`,
    {},
    { "notification-fd": "7\n", down: "" },
  );
  await box.start();
  await web.is("down");
  const early = await box.run(["svctl", "-t", "4", "start", "web"]);
  const pid = await web.running();
  expect(early.err).toBe(`svctl: web: not up after 4 s (pid ${pid} is not ready)\n`);
  touch(gate);
  expect((await box.run(["svctl", "restart", "web"])).code).toBe(0);
  expect([web.status.state, web.lines.at(-1)]).toEqual(["up", "ready"]);
});

patientScenario("a signal is sent to one that is not ready, too", async (box) => {
  const web = box.declare("web");
  web.installDirectory(trapping("HUP"), { check: "exit 1" });
  await box.start();
  await web.traced("ready");
  // Long before this time is over the test would be.
  const outcome = await box.run(["svctl", "-t", "600", "hup", "web"]);
  expect(outcome).toEqual({ code: 0, out: expect.stringMatching(/^web: UP, .*starting/), err: "" });
  await web.traced("HUP");
});

patientScenario("what is removed while it is stopped is down in the end", async (box) => {
  const web = box.service(
    "web",
    "trap 'trace term' TERM\ntrace ready\nwhile :; do sleep 0.1; done",
  );
  const sysmgr = await box.start();
  await web.traced("ready");
  const pid = await web.running();
  const stop = box.run(["svctl", "-t", "600", "stop", "web"]);
  await web.traced("term");
  web.uninstall();
  await sysmgr.says(/web: removed from SYSDIR/);
  kill(pid, "SIGKILL");
  expect(await stop).toMatchObject({ code: 0, err: "" });
});

patientScenario("all is ready only where SYSDIR can be read", async (box) => {
  const sysmgr = await box.start();
  expect((await box.run(["svctl", "ready"])).code).toBe(0);
  rename(box.sysdir, `${box.dir}/away`);
  await sysmgr.says(/cannot read SYSDIR/);
  const err = `svctl: cannot read ${box.sysdir}: No such file or directory\n`;
  expect(await box.run(["svctl", "ready"])).toEqual({ code: 1, out: "", err });
  rename(`${box.dir}/away`, box.sysdir);
});

patientScenario("letters are short for sv's commands", async (box) => {
  const signals = { h: "HUP", a: "ALRM", i: "INT", q: "QUIT", t: "TERM", 1: "USR1", 2: "USR2" };
  const web = box.service("web", trapping(...Object.values(signals)));
  await box.start();
  await web.traced("ready");
  for (const [letter, signal] of Object.entries(signals)) {
    expect((await box.run(["svctl", letter, "web"])).code).toBe(0);
    await web.traced(signal);
  }
  const pid = await web.running();
  expect((await box.run(["svctl", "k", "web"])).code).toBe(0);
  await web.runningAfter(pid);
  for (const [letter, wanted] of [
    ["o", "once"],
    ["u", "up"],
    ["d", "down"],
  ] as const) {
    const { code } = await box.run(["svctl", "-n", letter, "web"]);
    await web.answered({ o: "once", u: "up", d: "down" }[letter]);
    expect([code, web.status.wanted]).toEqual([0, wanted]);
  }
});

patientScenario("shutdown ends sysmgr, with the exit code that was asked for", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  expect(await box.run(["svctl", "shutdown", "3"])).toEqual({ code: 0, out: "", err: "" });
  expect([await sysmgr.exited(), lives(pid)]).toEqual([3, false]);
  const again = await box.start();
  await web.runningAfter(pid);
  expect((await box.run(["svctl", "shutdown"])).code).toBe(0);
  expect(await again.exited()).toBe(0);
});

patientScenario("an exit code is a byte", async (box) => {
  await box.start();
  expect(await box.run(["svctl", "shutdown", "256"])).toEqual({
    code: 2,
    out: "",
    err: "svctl: not an exit code: 256 (svctl -h for help)\n",
  });
});
