/** Where sv finds services, by name, by path and from within; and what it is called by. */
import { expect } from "bun:test";
import { symlinkSync } from "node:fs";
import { shell } from "../lib/clients.ts";
import { link, makeDirectory, place, read, rename } from "../lib/files.ts";
import { BIN } from "../lib/sandbox.ts";
import { have, scenario } from "../lib/scenario.ts";
import { STAY } from "../lib/service.ts";

scenario("names are in SVDIR; dots and slashes make paths", async (box) => {
  box.declare("web").installDirectory();
  await box.start();
  await box.declare("web").is("up");
  const says = async (name: string, env = {}, cwd = "/") => {
    const { out } = await box.run(["sv", "status", name], { env, cwd });
    return out.replace(/\(pid \d+\) \d+s/, "OK");
  };
  const elsewhere = { SVDIR: `${box.dir}/nowhere` };
  expect(await says("web", { SVDIR: box.sysdir })).toBe("run: web: OK\n");
  expect(await says("web", elsewhere)).toBe(
    "fail: web: unable to change to service directory: file does not exist\n",
  );
  expect(await says("web/", elsewhere, box.sysdir)).toBe("run: web/: OK\n");
  expect(await says("./web", elsewhere, box.sysdir)).toBe("run: ./web: OK\n");
  expect(await says(".", elsewhere, `${box.sysdir}/web`)).toBe("run: .: OK\n");
  expect(await says("../web", elsewhere, `${box.sysdir}/web`)).toBe("run: ../web: OK\n");
  expect(await says(`${box.sysdir}/web`, elsewhere)).toBe(`run: ${box.sysdir}/web: OK\n`);
});

const EMPTY_ETC = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /etc && exec "$@"', "sh"];
const ETC_SERVICE = EMPTY_ETC.map((word) =>
  word.replace("exec", "mkdir -p /etc/service/web && exec"),
);

scenario(
  "without SVDIR names are in /etc/service, if there is one, else in SYSDIR",
  async (box) => {
    const web = box.declare("web").installDirectory();
    await box.start();
    await web.running();
    const { out } = await box.run(["sv", "status", "web"], { wrapper: EMPTY_ETC });
    expect(out).toStartWith("run: web: (pid ");
    const other = await box.run(["sv", "status", "web"], { wrapper: ETC_SERVICE });
    expect(other.out).toBe("warning: web: unable to open supervise/ok: file does not exist\n");
  },
  have.mounts,
);

scenario("a service that is a plain file is one to sv, svc, svstat and svok, too", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  const run = (...command: string[]) => box.run(command, { env: { SVDIR: box.sysdir } });
  expect((await run("sv", "status", "web")).out).toMatch(
    RegExp(`^run: web: \\(pid ${pid}\\) \\d+s$`, "m"),
  );
  expect((await run("svstat", web.entry)).out).toMatch(/: up \(pid \d+\) \d+ seconds$/m);
  expect((await run("svok", web.entry)).code).toBe(0);
  expect(await run("svc", "-d", web.entry)).toEqual({ code: 0, out: "", err: "" });
  await web.is("down");
  expect((await run("sv", "start", "web")).out).toStartWith("ok: run: web: (pid ");
});

scenario("a plain sysmgr is found by SYSDIR and RUNDIR of the environment only", async (box) => {
  box.declare("web").installDirectory();
  await box.start();
  await box.declare("web").is("up");
  const path = `${box.sysdir}/web`;
  expect((await box.run(["svok", path])).code).toBe(0);
  expect((await box.run(["svok", path], { env: { SYSDIR: "", RUNDIR: "" } })).code).toBe(100);
  expect((await box.run(["svok", path], { env: { SYSDIR: "/" } })).code).toBe(100);
});

scenario("within a service, `.` is that service, whatever its directory is called", async (box) => {
  // Two services share one directory, and one is the directory that another one links to.
  const body = `sv o . || trace "failed $?"\ntrace "told as $SYSMGR_SERVICE"\n${STAY}`;
  const [a, b, c] = ["a", "b", "c"].map((name) => box.declare(name));
  if (!a || !b || !c) throw new Error("no services");
  c.installDirectory(body);
  makeDirectory(`${box.dir}/shared`);
  place(`${box.dir}/shared/run`, c.script(body), 0o755);
  symlinkSync(`${box.dir}/shared`, a.entry);
  symlinkSync("c", b.entry);
  await box.start({ env: { PATH: `${BIN}:/usr/bin:/bin` } });
  for (const service of [a, b, c]) {
    await c.traced(`told as ${service.name}`);
    expect(read(service.file("lock"))).toBe("once\n");
  }
});

scenario("an init script is a link to sv, through any number of links", async (box) => {
  const web = box.declare("web").installDirectory();
  box.declare("spare").installDirectory(STAY, {}, { down: "" });
  await box.start();
  await web.running();
  const scripts = `${box.dir}/init.d`;
  makeDirectory(scripts);
  symlinkSync(`${BIN}/sv`, `${scripts}/web`);
  symlinkSync("../first", `${scripts}/spare`);
  symlinkSync("second", `${box.dir}/first`);
  symlinkSync(`${BIN}/sv`, `${box.dir}/second`);
  const env = { SVDIR: box.sysdir };
  const run = (...command: string[]) => box.run(command, { env });
  expect((await run(`${scripts}/web`, "status")).out).toStartWith("run: web: (pid ");
  expect((await run(`${scripts}/web`, "stop")).out).toMatch(/^ok: down: web: \d+s, normally up\n$/);
  expect((await run(`${scripts}/web`, "status")).code).toBe(3);
  expect((await run(`${scripts}/spare`, "start")).out).toMatch(
    /^ok: run: spare: .* normally down\n$/,
  );
  // As init and rc find it.
  const path = { ...env, PATH: `${scripts}:/usr/bin:/bin` };
  const shell = await box.run(["/bin/sh", "-c", "web status"], { env: path });
  expect(shell.out).toStartWith("down: web: ");
});

scenario("a link whose end is no program of ours is sysmgr", async (box) => {
  makeDirectory(`${box.dir}/bin`);
  link(`${BIN}/sysmgr`, `${box.dir}/bin/supervisor`);
  link("loop", `${box.dir}/bin/loop`);
  const faked = Bun.spawnSync([`${BIN}/sysmgr`, "-V"], { argv0: `${box.dir}/bin/loop` });
  expect(faked.stdout.toString()).toMatch(/^sysmgr /);
  const version = await box.run([`${box.dir}/bin/supervisor`, "-V"]);
  expect(version).toMatchObject({ code: 0, out: expect.stringMatching(/^sysmgr /) });
  expect((await box.run([`${box.dir}/bin/supervisor`, "svok"])).code).toBe(100);
});

scenario("sysmgr sv is sv", async (box) => {
  const web = box.declare("web").installDirectory();
  await box.start();
  await web.running();
  const { out } = await box.run(["sysmgr", "sv", "status", `${box.sysdir}/web`]);
  expect(out).toStartWith(`run: ${box.sysdir}/web: (pid `);
  expect((await box.run(["sysmgr", "sv"])).err).toStartWith("usage: sv ");
  link(`${BIN}/sysmgr`, `${box.dir}/supervisor`);
  const linked = await box.run([`${box.dir}/supervisor`, "sv", "status", `${box.sysdir}/web`]);
  expect(linked.out).toStartWith(`run: ${box.sysdir}/web: (pid `);
});

scenario("names are bytes", async (box) => {
  const web = box.declare("we\xffb \xe9").installDirectory();
  await box.start();
  await web.running();
  const { out } = await shell(box, 'cd "$SYSDIR" && sv status ./we*; svstat we*; svc -d we*');
  expect(out).toMatch(/^run: \.\/we\xffb \xe9: \(pid \d+\) \d+s\nwe\xffb \xe9: up /);
  await web.is("down");
});

scenario("a service that was removed is not found, though it still runs", async (box) => {
  const web = box.declare("web").installDirectory();
  await box.start();
  await web.running();
  rename(web.entry, `${box.dir}/web`);
  const { code, out } = await box.run(["sv", "status", web.entry]);
  expect([code, out]).toEqual([
    1,
    `fail: ${web.entry}: unable to change to service directory: file does not exist\n`,
  ]);
});
