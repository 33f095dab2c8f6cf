/** The life of a service: restarts, backoff, and what its status file says of it. */
import { expect } from "bun:test";
import { readlinkSync } from "node:fs";
import { BACKOFF, SETTLE_DEPENDS } from "../../config.ts";
import { begin, stopped } from "../lib/depends.ts";
import { exists, read, touch, write } from "../lib/files.ts";
import { kill, lives, readStat } from "../lib/processes.ts";
import { patientScenario, scenario } from "../lib/scenario.ts";
import { type Service, STAY } from "../lib/service.ts";
import { until } from "../lib/until.ts";

/** How far in the future the next start was due when the status was written, in seconds. */
function wait(service: Pick<Service, "status">): number {
  const { next, since } = service.status;
  return Math.round(Number(next) - Number(since));
}

patientScenario("restarts what was killed after a good run at once", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.aged(1000);
  kill(pid, "SIGKILL");
  await web.runningAfter(pid);
  expect(web.status).toMatchObject({ runs: "2", exit: "signal KILL" });
  expect(web.status.short).toBeUndefined();
  expect(sysmgr.count(/^sysmgr: web: ended by signal KILL after [\d.]+ s; restarting$/)).toBe(1);
});

patientScenario("restarts what ends with 0, too", async (box) => {
  const web = box.service("web", "sleep 2");
  const sysmgr = await box.start();
  await until(() => web.starts.length >= 3, "three lives");
  expect(web.status.exit).toBe("0");
  expect(sysmgr.count(/next start in/)).toBe(0);
});

patientScenario("waits 1, 2 and 4 s after lives that were too short", async (box) => {
  const web = box.service("web", 'trace "at $(date +%s%3N)"\nexit 3');
  const sysmgr = await box.start();
  const ends = /web: exited with 3 after .*; (?:next start in (\d+) s|restarting)$/gm;
  const waits = () =>
    [...sysmgr.messages.matchAll(ends)].map(([, seconds]) => Number(seconds ?? 0));
  // On a busy machine a life may last for a second, and they begin again.
  const [life] = await until(() => {
    const all = waits();
    const first = all.findIndex((_, i) => all.slice(i, i + 3).join() === "1,2,4");
    return first >= 0 && [first];
  }, "three short lives in a row");
  const at = () => web.lines.filter((l) => l.startsWith("at ")).map((l) => Number(l.slice(3)));
  await until(() => at().length >= life + 4, "the next life");
  const [a = 0, b = 0, c = 0, d = 0] = at().slice(life);
  for (const [passed, seconds] of [
    [b - a, 1],
    [c - b, 2],
    [d - c, 4],
  ] as const)
    expect(passed).toBeGreaterThan(seconds * 1000 - 20);
  const status = await until(() => {
    const { state, ...rest } = web.status;
    return state === "backoff" && rest;
  }, "web waits again");
  expect(status).toMatchObject({ wanted: "up", exit: "3" });
  expect(status.pid).toBeUndefined();
  const due = BACKOFF[Math.min(Number(status.short), BACKOFF.length) - 1] ?? 0;
  expect(wait({ status })).toBe(due / 1000);
});

scenario("waits 30 s at most, and a successor goes on with the count", async (box) => {
  const web = box.service("web", "exit 3");
  const first = await box.start();
  await web.is("backoff");
  await first.crash();
  for (const [before, seconds] of [
    [3, 8],
    [4, 16],
    [5, 30],
    [60, 30],
  ] as const) {
    // On a busy machine a life may last for a second: then it was none of these.
    for (let isShort = false; !isShort; ) {
      const due = `next=${(Date.now() / 1000).toFixed(3)}`;
      const text = (read(web.file("status")) ?? "").replace(/^next=.*$/m, due);
      write(web.file("status"), text.replace(/^short=.*$/m, `short=${before}`));
      const sysmgr = await box.start();
      await until(() => web.status.short !== String(before), "another life");
      await web.is("backoff");
      isShort = web.status.short === String(before + 1);
      if (isShort) expect(wait(web)).toBe(seconds);
      await sysmgr.crash();
    }
  }
});

patientScenario("a good run ends the waits", async (box) => {
  const good = `${box.dir}/good`;
  const web = box.service(
    "web",
    `[ -e ${good} ] && rm ${good} && trace good && exec sleep 3600; exit 1`,
  );
  const sysmgr = await box.start();
  const short = /; next start in 1 s$/;
  await until(() => sysmgr.count(short) === 1, "a short life");
  await Bun.write(good, "");
  await web.traced("good");
  kill(await web.aged(1000), "SIGKILL");
  await until(() => sysmgr.count(short) === 2, "a short life after a good one");
  expect(sysmgr.count(/ended by signal KILL after [\d.]+ s; restarting$/)).toBe(1);
});

scenario("a stop ends a wait; up, restart and once end it with a start", async (box) => {
  const web = box.service("web", "exit 1");
  const sysmgr = await box.start();
  await web.is("backoff");
  web.mark();
  await web.is("down");
  expect(web.status.next).toBeUndefined();
  for (const command of ["up", "restart", "up"]) {
    const [runs, told] = [Number(web.status.runs), sysmgr.count(/; next start in 1 s$/)];
    await web.command(command);
    await until(() => Number(web.status.runs) > runs, "another run");
    await until(() => sysmgr.count(/; next start in 1 s$/) > told, "a first short life");
  }
  await web.command("once");
  await web.is("down");
  expect(web.status).toMatchObject({ wanted: "once", exit: "1" });
});

scenario("the status file says what is so", async (box) => {
  const web = box.service("web");
  const before = Date.now() / 1000;
  await box.start();
  const pid = await web.running();
  await web.is("up");
  const boot = read("/proc/sys/kernel/random/boot_id")?.trim();
  expect(web.status).toEqual({
    state: "up",
    wanted: "up",
    pid: String(pid),
    start: String(readStat(pid)?.started),
    boot: boot ?? "",
    pidns: readlinkSync("/proc/self/ns/pid").replace(/\D/g, ""),
    since: expect.stringMatching(/^\d+\.\d{3}$/),
    runs: "1",
    first: expect.stringMatching(/^\d+\.\d{3}$/),
    ready: web.status.since,
  });
  expect(read(web.file("pid"))).toBe(`${pid}\n`);
  const since = Number(web.status.since);
  expect(since).toBeGreaterThanOrEqual(before);
  expect(since).toBeLessThanOrEqual(Date.now() / 1000 + 1);
  await web.command("down");
  await web.is("down");
  expect(web.status).toEqual({
    state: "down",
    wanted: "down",
    boot: boot ?? "",
    pidns: web.status.pidns,
    since: expect.any(String),
    runs: "1",
    first: expect.any(String),
    ready: expect.any(String),
    exit: "signal TERM",
  });
  expect(exists(web.file("pid"))).toBeFalse();
});

scenario("a service is starting before it is up", async (box) => {
  const sysmgr = await box.start({ args: ["-v"] });
  const gate = `${box.dir}/gate`;
  const web = box.declare("web");
  web.installDirectory(STAY, { check: `test -e ${gate}` });
  await web.is("starting");
  touch(gate);
  await web.is("up");
  await sysmgr.says(/web: started, pid \d+\nsysmgr: web: up\n/);
});

patientScenario("what has ended is not up, however late sysmgr looks", async (box) => {
  const web = stopped(box, "web");
  const sysmgr = await box.start({ args: ["-v"] });
  const ups = () => sysmgr.count(/^sysmgr: web: up$/);
  let before = 0;
  await begin(sysmgr, [web], async () => {
    before = ups();
    const { pid, since } = web.status;
    kill(Number(pid), "SIGKILL");
    await until(() => !lives(Number(pid)), "it has ended");
    const due = Number(since) * 1000 + SETTLE_DEPENDS;
    await until(() => Date.now() > due + 100, "it would be up");
  });
  await until(() => web.status.exit, "its end is seen");
  expect(ups()).toBe(before);
});

scenario("says why it cannot start something, in status and once in its messages", async (box) => {
  const web = box.declare("web");
  const sysmgr = await box.start();
  web.install("", 0o644);
  await web.is("failed");
  expect(web.status.reason).toBe("not executable");
  for (const _ of [1, 2, 3]) await sysmgr.answers();
  expect(sysmgr.count(/^sysmgr: web: cannot start: not executable$/)).toBe(1);
  web.install();
  await web.running();
  expect(web.status.reason).toBeUndefined();
});

scenario("eleven hundred services start and stop together", async (box) => {
  const services = Array.from({ length: 1_100 }, (_, i) => box.service(`s${i}`));
  const sysmgr = await box.start({ args: ["-q"] });
  for (const service of services) await service.running();
  expect(services.every((s) => s.starts.length === 1)).toBeTrue();
  await sysmgr.stop();
});
