/** How long svctl waits, what it says when it is not so, and how to make it so. */
import { expect } from "bun:test";
import { BLIND } from "../lib/clients.ts";
import { exists } from "../lib/files.ts";
import { kill, lives } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";
import type { Service } from "../lib/service.ts";
import { until } from "../lib/until.ts";

/** One that ignores TERM, and does so already. */
async function stubborn(box: Sandbox, name = "web"): Promise<{ service: Service; pid: number }> {
  const service = box.service(name, "trap '' TERM\ntrace ready\nexec sleep 3600");
  await service.traced("ready");
  return { service, pid: await service.running() };
}

const SECOND_FORMS = [["-t", "4"], ["-t4"], ["--timeout", "4"], ["--timeout=4"]];

for (const form of SECOND_FORMS) {
  patientScenario(
    `${form.join(" ")} is how long stop waits; then it names the pid`,
    async (box) => {
      await box.start();
      const { service, pid } = await stubborn(box);
      const outcome = await box.run(["svctl", ...form, "stop", "web"]);
      const err = `svctl: web: not down after 4 s (pid ${pid} still runs)\n`;
      expect(outcome).toEqual({ code: 1, out: "", err });
      expect(service.status).toMatchObject({ state: "stopping", wanted: "down", pid: String(pid) });
      kill(pid, "SIGKILL");
      await service.is("down");
    },
  );
}

patientScenario("SVWAIT says how long, but -t wins", async (box) => {
  await box.start();
  const { pid } = await stubborn(box);
  const text = (s: number) => `svctl: web: not down after ${s} s (pid ${pid} still runs)\n`;
  const waiting = await box.run(["svctl", "stop", "web"], { env: { SVWAIT: "5" } });
  expect(waiting).toEqual({ code: 1, out: "", err: text(5) });
  const given = await box.run(["svctl", "-t", "4", "stop", "web"], { env: { SVWAIT: "99" } });
  expect(given).toEqual({ code: 1, out: "", err: text(4) });
  kill(pid, "SIGKILL");
});

patientScenario("without them stop waits 7 s; an empty SVWAIT does not count", async (box) => {
  await box.start();
  const { pid } = await stubborn(box);
  const outcome = await box.run(["svctl", "stop", "web"], { env: { SVWAIT: "" } });
  const err = `svctl: web: not down after 7 s (pid ${pid} still runs)\n`;
  expect(outcome).toEqual({ code: 1, out: "", err });
  kill(pid, "SIGKILL");
});

patientScenario("-t 0 does not wait, but says what is not so", async (box) => {
  await box.start();
  const { service, pid } = await stubborn(box);
  const outcome = await box.run(["svctl", "-t", "0", "stop", "web"]);
  expect(outcome).toMatchObject({ code: 1, out: "" });
  expect(outcome.err).toMatch(/^svctl: web: (no answer|not down) after 0 m?s[^\n]*\n$/);
  await until(() => service.status.wanted === "down", "it was asked for");
  kill(pid, "SIGKILL");
});

patientScenario("waiting ends when it is so, not when the time is over", async (box) => {
  await box.start();
  const { pid } = await stubborn(box);
  // Far more than this test may take.
  const stop = box.run(["svctl", "-t", "3600", "stop", "web"]);
  await until(() => exists(`${box.rundir}/web/lock`), "the stop has begun");
  kill(pid, "SIGKILL");
  expect(await stop).toMatchObject({ code: 0, err: "" });
});

patientScenario("no time is too long", async (box) => {
  box.service("web");
  await box.start();
  const outcome = await box.run(["svctl", "-t", "999999999999", "restart", "web"]);
  expect(outcome).toMatchObject({ code: 0, err: "" });
});

patientScenario("stop --force goes on to KILL", async (box) => {
  await box.start();
  const { service, pid } = await stubborn(box);
  const outcome = await box.run(["svctl", "stop", "--force", "-t", "4", "web"]);
  expect(outcome).toMatchObject({ code: 0, err: "" });
  expect(outcome.out).toMatch(/^web: DOWN, stopped, .*ended by signal KILL\n$/);
  expect(lives(pid)).toBeFalse();
  expect(service.status).toMatchObject({ state: "down", wanted: "down", exit: "signal KILL" });
});

patientScenario("stop --force leaves TERM to those that take it", async (box) => {
  await box.start();
  await stubborn(box);
  const db = box.service("db", "trap 'trace term; exit 0' TERM\ntrace ready\nsleep 3600 & wait");
  await db.traced("ready");
  const outcome = await box.run(["svctl", "--force", "-t", "5", "stop", "web", "db"]);
  expect(outcome).toMatchObject({ code: 0, err: "" });
  expect(db.status.exit).toBe("0");
});

patientScenario("no other stop goes on to KILL", async (box) => {
  await box.start();
  const { service, pid } = await stubborn(box);
  expect((await box.run(["svctl", "-t", "1", "restart", "web"])).code).toBe(1);
  expect((await box.run(["svctl", "-t", "1", "stop", "web"])).code).toBe(1);
  expect(lives(pid)).toBeTrue();
  kill(pid, "SIGKILL");
  await service.is("down");
});

patientScenario("restart says when the old process does not end", async (box) => {
  await box.start();
  const { service, pid } = await stubborn(box);
  const outcome = await box.run(["svctl", "-t", "4", "restart", "web"]);
  const err = `svctl: web: not restarted after 4 s (pid ${pid} still runs)\n`;
  expect(outcome).toEqual({ code: 1, out: "", err });
  // It was asked for all the same.
  kill(pid, "SIGKILL");
  await service.runningAfter(pid);
  await box.run(["svctl", "kill", "web"]);
});

patientScenario("of several services only those are complained of that are not so", async (box) => {
  await box.start();
  const { pid } = await stubborn(box);
  const db = box.service("db");
  await db.running();
  const outcome = await box.run(["svctl", "-t", "5", "stop", "db", "web"]);
  expect(outcome).toEqual({
    code: 1,
    out: expect.stringMatching(/^db: DOWN, stopped, [^\n]*\n$/),
    err: `svctl: web: not down after 5 s (pid ${pid} still runs)\n`,
  });
  kill(pid, "SIGKILL");
});

patientScenario("-n does not wait, and says nothing", async (box) => {
  const sysmgr = await box.start();
  const { service, pid } = await stubborn(box);
  // Nobody answers now.
  sysmgr.signal("SIGSTOP");
  const outcome = await box.run(["svctl", "-n", "restart", "web"]);
  expect(outcome).toEqual({ code: 0, out: "", err: "" });
  expect(service.box).toEqual(["restart"]);
  sysmgr.signal("SIGCONT");
  await service.answered("restart");
  kill(pid, "SIGKILL");
  await service.runningAfter(pid);
  await box.run(["svctl", "kill", "web"]);
});

patientScenario("what -n asked for, one after the other, is done in that order", async (box) => {
  const sysmgr = await box.start();
  const web = box.service("web");
  const pid = await web.running();
  sysmgr.signal("SIGSTOP");
  for (const word of ["stop", "start", "once"]) await box.run(["svctl", "-n", word, "web"]);
  expect(web.box.sort()).toEqual(["down", "once", "up"]);
  sysmgr.signal("SIGCONT");
  await web.runningAfter(pid);
  expect(web.status.wanted).toBe("once");
});

for (const option of ["-q", "--quiet"]) {
  patientScenario(`${option} leaves the errors, and the waiting`, async (box) => {
    await box.start();
    const { pid } = await stubborn(box);
    const db = box.service("db");
    await db.running();
    const stopped = await box.run(["svctl", option, "stop", "db"]);
    expect(stopped).toEqual({ code: 0, out: "", err: "" });
    expect(db.status.state).toBe("down");
    const failed = await box.run(["svctl", option, "-t", "4", "stop", "web"]);
    const err = `svctl: web: not down after 4 s (pid ${pid} still runs)\n`;
    expect(failed).toEqual({ code: 1, out: "", err });
    kill(pid, "SIGKILL");
  });
}

patientScenario("says why a service cannot start", async (box) => {
  const web = box.declare("web").install("", 0o644);
  const db = box.service("db");
  await box.start();
  await db.running();
  await web.is("failed");
  for (const word of ["start", "restart", "once"]) {
    const outcome = await box.run(["svctl", word, "web"]);
    const err = "svctl: web: cannot start: not executable\n";
    expect(outcome).toEqual({ code: 1, out: "", err });
  }
  web.install();
  expect((await box.run(["svctl", "start", "web"])).code).toBe(0);
});

patientScenario("says so when a service ends again and again", async (box) => {
  const web = box.service("web", "exit 3");
  await box.start();
  await web.is("backoff");
  const outcome = await box.run(["svctl", "-t", "1", "restart", "web"]);
  // It may have been seen while it ran.
  if (outcome.code === 0) expect(outcome.out).toStartWith("web: ");
  else expect(outcome.err).toMatch(/^svctl: web: (not restarted|no answer) after 1 s( \(.+\))?\n$/);
});

patientScenario("says so when nobody answers", async (box) => {
  const sysmgr = await box.start();
  const web = box.service("web");
  const pid = await web.running();
  sysmgr.signal("SIGSTOP");
  const outcome = await box.run(["svctl", "-t", "1", "stop", "web"]);
  expect(outcome).toEqual({ code: 1, out: "", err: "svctl: web: no answer after 1 s\n" });
  expect(lives(pid)).toBeTrue();
  sysmgr.signal("SIGCONT");
  await web.is("down");
});

patientScenario("goes on waiting while sysmgr is replaced by another one", async (box) => {
  const sysmgr = await box.start();
  const { pid } = await stubborn(box);
  const stop = box.run(["svctl", "-t", "3600", "stop", "web"]);
  await until(() => exists(`${box.rundir}/web/lock`), "the stop has begun");
  await sysmgr.crash();
  await box.start();
  kill(pid, "SIGKILL");
  expect(await stop).toMatchObject({ code: 0, err: "" });
});

for (const [word, state] of [
  ["stop", "down"],
  ["restart", "starting"],
  ["start", "starting"],
  ["once", "starting"],
] as const) {
  patientScenario(
    `${word} works, and waits, where there is no inotify instance`,
    async (box) => {
      const web = box.service("web");
      await box.start();
      const pid = await web.running();
      if (word === "start" || word === "once") {
        web.mark();
        await web.is("down");
      }
      const outcome = await box.run(["svctl", word, "web"], { wrapper: BLIND });
      expect(outcome).toMatchObject({ code: 0, err: "" });
      expect(lives(pid)).toBeFalse();
      if (state === "down") expect(web.status.state).toBe("down");
      else expect(lives(web.pid ?? 0)).toBeTrue();
    },
    have.userns,
  );
}

patientScenario(
  "without inotify, too, stop waits for a slow end, and until the time is over",
  async (box) => {
    await box.start();
    const { pid } = await stubborn(box);
    const late = await box.run(["svctl", "-t", "4", "stop", "web"], { wrapper: BLIND });
    const err = `svctl: web: not down after 4 s (pid ${pid} still runs)\n`;
    expect(late).toEqual({ code: 1, out: "", err });
    const stop = box.run(["svctl", "-t", "3600", "stop", "web"], { wrapper: BLIND });
    kill(pid, "SIGKILL");
    expect((await stop).code).toBe(0);
  },
  have.userns,
);

scenario("a client that is killed leaves nothing that has to be repaired", async (box) => {
  const sysmgr = await box.start();
  const { service, pid } = await stubborn(box);
  sysmgr.signal("SIGSTOP");
  const child = Bun.spawn([`${BIN}/svctl`, "stop", "web"], {
    env: { ...box.environment, SYSDIR: box.sysdir, RUNDIR: box.rundir },
    stdio: ["ignore", "ignore", "ignore"],
  });
  await until(() => service.box.includes("down"), "it has asked");
  child.kill("SIGKILL");
  await child.exited;
  sysmgr.signal("SIGCONT");
  await service.answered("down");
  kill(pid, "SIGKILL");
  await service.is("down");
  expect((await box.run(["svctl", "start", "web"])).code).toBe(0);
  await service.running();
  await box.run(["svctl", "kill", "web"]);
});
