/** svctl and sysmgr-depends where RUNDIR is full of garbage, full, or gone. */
import { expect } from "bun:test";
import { lstatSync } from "node:fs";
import { shell } from "../lib/clients.ts";
import { exists, link, makeDirectory, remove, rename, touch, write } from "../lib/files.ts";
import { kill, lives } from "../lib/processes.ts";
import { have, patientScenario } from "../lib/scenario.ts";
import { type Service, trapping } from "../lib/service.ts";
import type { Supervisor } from "../lib/supervisor.ts";
import { until } from "../lib/until.ts";

const STUBBORN = "trap '' TERM\ntrace ready\nexec sleep 3600";
const DONE = { code: 0, out: "", err: "" };

for (const [what, make] of [
  ["a FIFO", (path: string) => Bun.spawnSync(["mkfifo", path])],
  ["a link", (path: string) => link("/etc/passwd", path)],
  ["a link to a device that never ends", (path: string) => link("/dev/zero", path)],
  ["a directory", (path: string) => makeDirectory(path)],
  ["empty", (path: string) => write(path, "")],
  ["a megabyte", (path: string) => write(path, "state=up\n".repeat(120_000))],
  ["a line without end", (path: string) => write(path, `state=${"u".repeat(100_000)}`)],
] as const) {
  patientScenario(`a status that is ${what} is no status; nothing hangs`, async (box) => {
    const [web, db] = [box.service("web"), box.service("db")];
    const sysmgr = await box.start();
    const pid = await web.running();
    const other = await db.running();
    await db.is("up");
    // In one moment, as sysmgr sees it: else it would make the missing one again.
    sysmgr.signal("SIGSTOP");
    remove(db.file("status"));
    make(db.file("status"));
    sysmgr.signal("SIGCONT");
    const { code, out, err } = await box.run(["svctl", "status", "web", "db"]);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    const unknown = "db: UNKNOWN, its status cannot be read";
    expect(out).toMatch(new RegExp(`^web: UP, pid ${pid}, .*\n${unknown}\n$`));
    JSON.parse((await box.run(["svctl", "status", "--json"])).out);
    const wait = await box.run(["sysmgr-depends", "-t", "1", "db"]);
    expect(wait).toMatchObject({ code: 1, out: "" });
    // A restart writes a new one.
    expect(await box.run(["svctl", "-q", "restart", "db"])).toEqual(DONE);
    await db.runningAfter(other);
    expect(web.pid).toBe(pid);
  });
}

/** As where sysmgr could not write the status (no descriptor), until it goes on. */
async function withoutStatus(sysmgr: Supervisor, service: Service): Promise<void> {
  await sysmgr.pause();
  remove(service.file("status"));
}

patientScenario("without a status a signal is sent all the same", async (box) => {
  const web = box.service("web", trapping("HUP"));
  const sysmgr = await box.start();
  await web.traced("ready");
  const pid = await web.running();
  await withoutStatus(sysmgr, web);
  const hup = box.run(["svctl", "-t", "60", "hup", "web"]);
  const late = await box.run(["svctl", "-t", "1", "hup", "web"]);
  expect(late).toEqual({ code: 1, out: "", err: "svctl: web: no answer after 1 s\n" });
  await until(() => web.box.includes("hup"), "it is sent");
  sysmgr.signal("SIGCONT");
  expect(await hup).toMatchObject({ code: 0, err: "" });
  await web.traced("HUP");
  expect(web.pid).toBe(pid);
});

patientScenario("without a status try-restart does not say that it is done", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  await withoutStatus(sysmgr, web);
  const outcome = await box.run(["svctl", "try-restart", "web"]);
  const err = "svctl: web: its status cannot be read\n";
  expect(outcome).toEqual({ code: 1, out: "", err });
  expect(web.box).toEqual([]);
  sysmgr.signal("SIGCONT");
  await web.running();
  expect(await box.run(["svctl", "-q", "try-restart", "web"])).toEqual(DONE);
  await web.runningAfter(pid);
});

patientScenario("without a status nobody says that a service is down", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  await web.is("up");
  await withoutStatus(sysmgr, web);
  const [line, object, wait] = await Promise.all([
    box.run(["svctl", "status"]),
    box.run(["svctl", "--json", "status", "web"]),
    box.run(["sysmgr-depends", "-t", "3", "web"]),
  ]);
  expect(line).toEqual({ code: 1, out: "web: UNKNOWN, its status cannot be read\n", err: "" });
  expect(JSON.parse(object.out)).toMatchObject([{ name: "web", up: null, state: null }]);
  const err = "sysmgr-depends: web: not up after 3 s (its status cannot be read)\n";
  expect(wait).toEqual({ code: 1, out: "", err });
  sysmgr.signal("SIGCONT");
  await web.is("up");
  expect((await box.run(["svctl", "status", "web"])).out).toStartWith("web: UP, ");
});

patientScenario("a request that is there already, of whatever kind, harms nobody", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  for (const make of [
    (path: string) => link(`${box.dir}/elsewhere`, path),
    (path: string) => makeDirectory(path),
    (path: string) => Bun.spawnSync(["mkfifo", path]),
  ]) {
    await web.running();
    // Who makes way for whom: svctl has to see it before sysmgr does.
    sysmgr.signal("SIGSTOP");
    make(web.file("control/down"));
    const stop = box.run(["svctl", "-q", "stop", "web"]);
    const isFile = () => lstatSync(web.file("control/down"), { throwIfNoEntry: false })?.isFile();
    await until(isFile, "the request is there");
    sysmgr.signal("SIGCONT");
    expect(await stop).toEqual(DONE);
    expect([web.pid, web.box, exists(`${box.dir}/elsewhere`)]).toEqual([null, [], false]);
    expect(await box.run(["svctl", "-q", "start", "web"])).toEqual(DONE);
  }
});

patientScenario("a request that a person makes at the same time is as good", async (box) => {
  const sysmgr = await box.start();
  const web = box.service("web");
  await web.running();
  sysmgr.signal("SIGSTOP");
  touch(web.file("control/down"));
  const stop = box.run(["svctl", "-q", "-t", "60", "stop", "web"]);
  const late = await box.run(["svctl", "-t", "1", "stop", "web"]);
  expect(late).toMatchObject({ code: 1, err: "svctl: web: no answer after 1 s\n" });
  sysmgr.signal("SIGCONT");
  expect(await stop).toEqual(DONE);
  expect(web.status.state).toBe("down");
});

patientScenario("stop sees that it is so though RUNDIR was removed meanwhile", async (box) => {
  const web = box.service("web", STUBBORN);
  await box.start();
  await web.traced("ready");
  const pid = await web.running();
  const stop = box.run(["svctl", "-q", "-t", "60", "stop", "web"]);
  await web.is("stopping");
  // A client that began later gives up: the first one surely waits.
  await box.run(["svctl", "-t", "1", "stop", "web"]);
  rename(box.rundir, `${box.dir}/old`);
  remove(`${box.dir}/old`);
  await web.is("stopping");
  kill(pid, "SIGKILL");
  await web.is("down");
  expect(await stop).toEqual(DONE);
});

patientScenario("start of a service that is removed before it is answered ends", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  await web.running();
  web.mark();
  await web.is("down");
  sysmgr.signal("SIGSTOP");
  const start = box.run(["svctl", "-t", "5", "start", "web"]);
  await until(() => web.box.includes("up"), "svctl has asked");
  web.uninstall();
  sysmgr.signal("SIGCONT");
  const { err } = await start;
  // Started in the two seconds in which it is only missing, or not: one line at most.
  expect(err).toMatch(/^(svctl: [^\n]+\n)?$/);
  await box.gone(web);
  expect((await box.run(["svctl", "start", "web"])).err).toBe("svctl: web: no such service\n");
});

patientScenario("what waits while sysmgr ends is told, when its time is over", async (box) => {
  const web = box.service("web", STUBBORN);
  const sysmgr = await box.start();
  await web.traced("ready");
  const pid = await web.running();
  const restart = box.run(["svctl", "-t", "3", "restart", "web"]);
  await web.is("stopping");
  sysmgr.signal("SIGTERM");
  await sysmgr.says(/SIGTERM: stopping/);
  kill(pid, "SIGKILL");
  await sysmgr.exited();
  const { code, out, err } = await restart;
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^svctl: [^\n]+\n$/);
});

for (const [what, name] of [
  ["blanks and shell characters", " $(id) 'r' ;"],
  ["a newline", "r\nr"],
  ["bytes that are no UTF-8", "r\xff\xc3"],
] as const) {
  patientScenario(`a RUNDIR and a SYSDIR of ${what} are no harder`, async (box) => {
    const [web, db] = [box.service("web"), box.service("db")];
    await box.start();
    await web.is("up");
    await db.running();
    link(box.rundir, `${box.dir}/${name}`);
    link(box.sysdir, `${box.dir}/${name}.d`);
    const quoted = `'${box.dir}/${name.replaceAll("'", `'\\''`)}'`;
    const places = `-r ${quoted} -d ${quoted}.d`;
    expect(await shell(box, `svctl ${places} -q restart web`)).toEqual(DONE);
    expect(await shell(box, `sysmgr-depends ${places} web`)).toEqual(DONE);
    expect(await shell(box, `svctl ${places} -q stop web`)).toEqual(DONE);
    const listed = await shell(box, `svctl ${places} status`);
    expect(listed.out).toMatch(/^db: UP, .*\nweb: DOWN, stopped, .*\n$/);
    const missing = await shell(box, `svctl -r ${quoted}.no status`);
    expect(missing.err).toMatch(/^svctl: cannot open [^\n]+: No such file or directory\n$/);
  });
}

patientScenario(
  "where no file can be made any more, svctl names it and the reason",
  async (box) => {
    const web = box.service("web");
    makeDirectory(box.rundir);
    const mount = `mount -t tmpfs -o mode=755,nr_inodes=40 run '${box.rundir}' && exec "$@"`;
    const wrapper = ["unshare", "-m", "sh", "-c", mount, "sh"];
    const sysmgr = await box.start({ wrapper, elsewhere: true });
    const pid = await web.running();
    await web.is("up");
    const inside = ["nsenter", "-t", String(sysmgr.pid), "-m"];
    const junk = `/proc/${sysmgr.pid}/root${box.rundir}/.junk`;
    makeDirectory(junk);
    expect(() => {
      for (let i = 0; ; i++) touch(`${junk}/${i}`);
    }).toThrow(/ENOSPC/);
    const outcome = await box.run(["svctl", "stop", "web"], { wrapper: inside });
    const path = `${box.rundir}/web/control/down`;
    const err = `svctl: cannot write ${path}: No space left on device\n`;
    expect(outcome).toEqual({ code: 1, out: "", err });
    const status = await box.run(["svctl", "status", "web"], { wrapper: inside });
    expect(status.out).toStartWith(`web: UP, pid ${pid}, `);
    remove(junk);
    expect(await box.run(["svctl", "-q", "stop", "web"], { wrapper: inside })).toEqual(DONE);
    expect(lives(pid)).toBeFalse();
  },
  have.mounts && have.nsenter,
);
