/** Markers and commands that come in a rush, or in the wrong moment. */
import { expect } from "bun:test";
import { closeSync, openSync, writeSync } from "node:fs";
import { MARKER_GRACE } from "../../config.ts";
import { place, remove, touch } from "../lib/files.ts";
import { children, lives } from "../lib/processes.ts";
import { scenario } from "../lib/scenario.ts";
import { lingeringUntil, type Service, trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

scenario("a marker that comes and goes within a moment leaves the service running", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  for (let i = 0; i < 300; i++) {
    web.mark();
    web.unmark();
  }
  // Stopped by one of them or not: in the end there is none.
  await until(() => web.status.wanted === "up", "web is wanted");
  const last = await web.running();
  expect(lives(last)).toBeTrue();
  expect([pid, ...web.starts]).toContain(last);
});

scenario("a marker that goes and comes within a moment leaves the service down", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  await web.running();
  web.mark();
  await web.is("down");
  for (let i = 0; i < 300; i++) {
    web.unmark();
    web.mark();
  }
  await sysmgr.answers();
  await web.is("down");
  await sysmgr.answers();
  expect(web.status).toMatchObject({ state: "down", wanted: "down" });
});

/** Makes a marker as `echo once >lock` does: first it is empty. How long that took, in ms. */
function markInTwoSteps(web: Service): number {
  const began = performance.now();
  const fd = openSync(web.file("lock"), "w");
  writeSync(fd, "once\n");
  closeSync(fd);
  return performance.now() - began;
}

scenario("a marker written in two steps is taken when it is whole", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  const took: number[] = [];
  for (let i = 0; i < 100; i++) {
    took.push(markInTwoSteps(web));
    await until(() => web.status.wanted === "once", "web is wanted once");
    remove(web.file("lock"));
    await until(() => web.status.wanted === "up", "web is wanted");
  }
  const began = performance.now();
  const { code } = await box.run(["sh", "-c", `echo once >${web.file("lock")}`]);
  took.push(performance.now() - began);
  expect(code).toBe(0);
  await until(() => web.status.wanted === "once", "web is wanted once");
  // Who takes longer has left an empty one.
  if (Math.max(...took) < MARKER_GRACE) expect([web.pid, web.starts.length]).toEqual([pid, 1]);
});

scenario("a marker written in two steps again and again stops nothing", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  const took: number[] = [];
  for (let i = 0; i < 300; i++) {
    took.push(markInTwoSteps(web));
    remove(web.file("lock"));
  }
  took.push(markInTwoSteps(web));
  await until(() => web.status.wanted === "once", "web is wanted once");
  if (Math.max(...took) < MARKER_GRACE) expect([web.pid, web.starts.length]).toEqual([pid, 1]);
});

scenario("a marker that is still open does not count, whatever else is looked at", async (box) => {
  const web = box.service("web");
  await box.start();
  for (;;) {
    const pid = await web.running();
    const began = performance.now();
    const fd = openSync(web.file("lock"), "w");
    await web.command("cont");
    writeSync(fd, "once\n");
    closeSync(fd);
    const took = performance.now() - began;
    await until(() => web.status.wanted === "once", "web is wanted once");
    // Who takes longer has left an empty one.
    if (took < MARKER_GRACE) return expect([web.pid, web.starts.at(-1)]).toEqual([pid, pid]);
    await web.command("up");
  }
});

scenario("a command touched again while it is acted on is acted on again", async (box) => {
  const web = box.service("web", trapping("HUP"));
  await box.start();
  await web.traced("ready");
  for (let i = 0; i < 50; i++) {
    const before = web.count("HUP");
    for (let n = 0; n < 5; n++) touch(web.file("control/hup"));
    // The last touch must be followed by a signal, whichever of them began one.
    await web.answered("hup");
    await until(() => web.count("HUP") > before, "one more HUP");
  }
});

scenario("a command beside one that a predecessor had begun: both are done with", async (box) => {
  const web = box.service("web", trapping("HUP"));
  const sysmgr = await box.start();
  await web.traced("ready");
  sysmgr.signal("SIGSTOP");
  touch(web.file("control/.hup"));
  touch(web.file("control/hup"));
  sysmgr.signal("SIGCONT");
  await web.traced("HUP");
  await web.answered("hup");
});

scenario("hundreds of commands from twenty clients at once are each answered", async (box) => {
  const [web, other] = [
    box.service("web", trapping("HUP", "USR1", "USR2", "ALRM")),
    box.service("other"),
  ];
  const sysmgr = await box.start();
  const pid = await other.running();
  await web.traced("ready");
  // Each asks, and waits until what it asked for is gone, thirty times over.
  const client = `
for round in 1 2 3 4 5 6; do for c in hup usr1 usr2 alarm cont; do
  : >"$0/$c"
  while [ -e "$0/$c" ] || [ -e "$0/.$c" ]; do sleep 0.1; done
done; done`;
  const clients = Array.from({ length: 20 }, () =>
    Bun.spawn(["sh", "-c", client, web.file("control")], {
      env: box.environment,
      stdio: ["ignore", "ignore", "inherit"],
    }),
  );
  expect(new Set(await Promise.all(clients.map((c) => c.exited)))).toEqual(new Set([0]));
  for (const signal of ["HUP", "USR1", "USR2", "ALRM"]) await web.traced(signal);
  expect(web.box).toEqual([]);
  await sysmgr.answers();
  expect([web.starts.length, other.pid]).toEqual([1, pid]);
});

scenario(
  "up, down and restart in a rush end as the last one says, with one process",
  async (box) => {
    const web = box.service("web");
    const sysmgr = await box.start();
    await web.running();
    for (let round = 0; round < 30; round++) {
      for (const command of ["down", "up", "restart", "once", "restart"])
        await web.command(command);
      const own = children(sysmgr.pid).filter((p) => p.state !== "Z");
      expect(own.length).toBeLessThanOrEqual(1);
    }
    await web.command("down");
    await web.is("down");
    expect(children(sysmgr.pid)).toEqual([]);
    await web.command("up");
    await web.running();
  },
);

scenario("a marker made while a stop is under way holds", async (box) => {
  const gate = `${box.dir}/gate`;
  const web = box.service("web", lingeringUntil(gate));
  const sysmgr = await box.start();
  await web.traced("ready");
  await web.command("restart");
  await web.traced("term");
  for (let i = 0; i < 10; i++) {
    web.mark();
    web.unmark();
  }
  place(web.file("lock"), "");
  touch(gate);
  await web.is("down");
  await sysmgr.answers();
  expect(web.starts.length).toBe(1);
});
