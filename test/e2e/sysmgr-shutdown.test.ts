/** How sysmgr ends: what it stops, in which order, and how long it waits. */
import { expect } from "bun:test";
import { SHUTDOWN_TERM } from "../../config.ts";
import { exists, list, makeDirectory, place, read, touch } from "../lib/files.ts";
import { children, lives } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";
import { lingeringUntil, type Service } from "../lib/service.ts";
import { until } from "../lib/until.ts";

for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGABRT"] as const) {
  scenario(`${signal} stops all and exits 0`, async (box) => {
    const services = ["web", "db", "mail"].map((name) => box.service(name));
    const sysmgr = await box.start();
    const pids = await Promise.all(services.map((s) => s.running()));
    sysmgr.signal(signal);
    expect(await sysmgr.exited()).toBe(0);
    expect(pids.filter(lives)).toEqual([]);
    expect(list(box.rundir)).toEqual([]);
    expect(sysmgr.messages).toContain(`sysmgr: ${signal}: stopping 3 services\n`);
    expect(sysmgr.messages).toMatch(/\nsysmgr: all stopped after .*s\n$/);
  });
}

/** Does something before it ends, and writes down when it begins and ends to do so. */
function ordered(order: string, name: string, command = ":"): string {
  const note = (word: string) => `echo ${name} ${word} >>${order}`;
  return `trap '${note("told")}; ${command}; ${note("ends")}; exit 0' TERM
trace ready
while :; do sleep 3600 & wait $!; done`;
}

/** Says that a service has asked for others in this life, as sysmgr-depends does. */
function depends(service: Service, ...others: string[]): void {
  makeDirectory(service.file("depends"));
  for (const other of others) touch(service.file(`depends/${other}`));
}

scenario("stops dependents before what they depend on, all else in parallel", async (box) => {
  const order = `${box.dir}/order`;
  const names = ["web", "app", "db", "free"];
  const free = `until grep -q "free ends" ${order}; do sleep 0.1; done`;
  const command = (name: string) => ({ web: free, free: ":" })[name] ?? "sleep 0.3";
  const services = names.map((name) => box.service(name, ordered(order, name, command(name))));
  const [web, app] = services as [Service, Service];
  const sysmgr = await box.start();
  for (const service of services) await service.traced("ready");
  depends(web, "app", "nosuch");
  depends(app, "db");
  const took = await sysmgr.stop();
  const told = (read(order) ?? "").trim().split("\n");
  const others = told.filter((line) => !line.startsWith("free "));
  expect(told.length - others.length).toBe(2);
  // Then all that are left are told.
  if (took >= SHUTDOWN_TERM) return;
  expect(others).toEqual(["web told", "web ends", "app told", "app ends", "db told", "db ends"]);
});

scenario("a cycle of dependencies is stopped all the same", async (box) => {
  const order = `${box.dir}/order`;
  const [a, b, c] = ["a", "b", "c"].map((name) => box.service(name, ordered(order, name))) as [
    Service,
    Service,
    Service,
  ];
  const sysmgr = await box.start();
  for (const service of [a, b, c]) await service.traced("ready");
  depends(a, "b");
  depends(b, "a");
  depends(c, "a");
  await sysmgr.stop();
  const told = (read(order) ?? "").trim().split("\n");
  expect(told.length).toBe(6);
  expect(told.indexOf("a told")).toBeGreaterThan(told.indexOf("c ends"));
});

scenario("a dependent that has ended holds nobody up", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const sysmgr = await box.start();
  await web.running();
  await db.running();
  depends(web, "db");
  await web.command("down");
  await web.is("down");
  await sysmgr.stop();
});

patientScenario("kills what ignores TERM, after seven seconds", async (box) => {
  const web = box.service("web", "trap '' TERM\ntrace ready\nexec sleep 3600");
  const db = box.service("db");
  const sysmgr = await box.start();
  await web.traced("ready");
  const [pid, other] = [await web.running(), await db.running()];
  const before = Date.now();
  sysmgr.signal("SIGTERM");
  await until(() => !lives(other), "db has ended");
  await sysmgr.says(/waiting for web \(\d s left\)/);
  expect(await sysmgr.exited()).toBe(0);
  expect(Date.now() - before).toBeGreaterThan(6_900);
  await until(() => !lives(pid), "it is dead");
  expect(list(box.rundir)).toEqual([]);
});

patientScenario("at three seconds dependents are waited for no longer", async (box) => {
  const web = box.service("web", "trap '' TERM\ntrace ready\nexec sleep 3600");
  const db = box.service(
    "db",
    "trap 'trace told; exit' TERM; trace ready; while :; do sleep 3600 & wait $!; done",
  );
  const sysmgr = await box.start();
  await web.traced("ready");
  await db.traced("ready");
  depends(web, "db");
  sysmgr.signal("SIGTERM");
  await db.traced("told");
  expect(lives((await web.pid) ?? 0)).toBeTrue();
  expect(await sysmgr.exited()).toBe(0);
});

scenario("a second TERM makes it quick", async (box) => {
  const web = box.service("web", "trap '' TERM\ntrace ready\nexec sleep 3600");
  const sysmgr = await box.start();
  await web.traced("ready");
  sysmgr.signal("SIGTERM");
  await sysmgr.says(/stopping 1 services/);
  await sysmgr.stop("SIGTERM");
  expect(sysmgr.messages).toContain("SIGTERM again: KILL in 1 s");
});

scenario("what services left behind in their sessions is stopped, too", async (box) => {
  const web = box.service(
    "web",
    "sleep 3601 & trace child $!\nsleep 3602 & trace child $!\nexec sleep 3600",
  );
  const sysmgr = await box.start();
  const forked = () => web.lines.filter((l) => l.startsWith("child "));
  await until(() => forked().length === 2, "web forks");
  const left = forked().map((l) => Number(l.slice(6)));
  expect(left.filter(lives).length).toBe(2);
  await sysmgr.stop();
  expect(left.filter(lives)).toEqual([]);
});

scenario("a daemon that left the session of its service is stopped, too", async (box) => {
  const web = box.service(
    "web",
    `setsid sh -c 'echo $$ >${box.dir}/daemon; exec sleep 3601' &\nexec sleep 3600`,
  );
  const sysmgr = await box.start();
  await web.running();
  const daemon = await until(() => Number(read(`${box.dir}/daemon`)), "the daemon has begun");
  await web.command("down");
  await web.is("down");
  expect(lives(daemon)).toBeTrue();
  await sysmgr.stop();
  expect(lives(daemon)).toBeFalse();
});

scenario("nothing is started any more once a shutdown has begun", async (box) => {
  const gate = `${box.dir}/gate`;
  const web = box.service("web", lingeringUntil(gate));
  const db = box.service("db", "exit 1");
  const sysmgr = await box.start();
  await web.traced("ready");
  await db.is("backoff");
  sysmgr.signal("SIGTERM");
  await sysmgr.says(/stopping/);
  const late = box.service("late");
  touch(web.file("control/restart"));
  touch(gate);
  expect(await sysmgr.exited()).toBe(0);
  expect([web.starts.length, late.starts.length]).toEqual([1, 0]);
  // The wait of db may have been over before.
  expect(sysmgr.messages).not.toMatch(/: stopping \d+ services\n.*: started, pid/s);
});

scenario("a shutdown with nothing to stop is over at once", async (box) => {
  const sysmgr = await box.start();
  await sysmgr.stop();
  expect(sysmgr.messages).toMatch(/all stopped/);
});

scenario("control/shutdown that holds no number means 0", async (box) => {
  const sysmgr = await box.start();
  place(`${box.rundir}/.control/shutdown`, "now, please\n");
  expect(await sysmgr.exited()).toBe(0);
});

scenario("stop markers go with RUNDIR: the next sysmgr starts everything", async (box) => {
  const web = box.service("web");
  const first = await box.start();
  await web.running();
  await web.command("down");
  await web.is("down");
  await first.stop();
  expect(exists(web.file("lock"))).toBeFalse();
  await box.start();
  await web.running();
});

patientScenario("a paused service is stopped, too", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  await web.running();
  await web.command("pause");
  await sysmgr.stop();
});

scenario(
  "as PID 1 of a namespace it stops everybody there, and exits 0",
  async (box) => {
    const daemon = `setsid sh -c 'trap "" HUP; echo $$ >${box.dir}/daemon; exec sleep 3601' &`;
    const web = box.service("web", `${daemon}\nexec sleep 3600`);
    const command = [`${BIN}/sysmgr`, "-d", box.sysdir, "-r", box.rundir];
    const namespace = Bun.spawn(["unshare", "-fp", "--mount-proc", ...command], {
      env: box.environment,
      stdio: ["ignore", "ignore", "ignore"],
    });
    await web.is("up");
    await until(() => read(`${box.dir}/daemon`), "the daemon has begun");
    expect(read(`${box.rundir}/pid`)).toBe("1\n");
    const [init] = children(namespace.pid);
    process.kill(init?.pid ?? 0, "SIGTERM");
    expect(await namespace.exited).toBe(0);
    expect(list(box.rundir)).toEqual([]);
  },
  have.pidns,
);
