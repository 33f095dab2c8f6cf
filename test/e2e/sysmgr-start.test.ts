/** What sysmgr starts, and what a service finds around it. */
import { expect } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import { link, list, makeDirectory, place, read, rename, write } from "../lib/files.ts";
import { descriptors, environmentWith, readStat } from "../lib/processes.ts";
import { patientScenario, scenario } from "../lib/scenario.ts";
import { trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

scenario("starts every executable in SYSDIR, once", async (box) => {
  const services = ["web", "db", "mail"].map((name) => box.service(name));
  await box.start();
  for (const service of services) {
    await service.running();
    expect(service.starts.length).toBe(1);
  }
});

scenario("starts what is renamed into SYSDIR", async (box) => {
  const web = box.declare("web");
  const sysmgr = await box.start();
  write(`${box.dir}/web`, web.script(), 0o755);
  rename(`${box.dir}/web`, web.entry);
  await web.running();
  expect(sysmgr.count(/cannot start/)).toBe(0);
});

scenario("starts a new file once it is written and made executable", async (box) => {
  const web = box.declare("web");
  const sysmgr = await box.start();
  write(web.entry, web.script(), 0o644);
  await sysmgr.says(/web: cannot start: not executable/);
  await web.is("failed");
  write(web.entry, web.script(), 0o755);
  await web.running();
  expect(web.starts.length).toBe(1);
});

scenario("starts what a shell copies into SYSDIR, and never half of it", async (box) => {
  const web = box.declare("web");
  const sysmgr = await box.start();
  write(`${box.dir}/web`, web.script(), 0o755);
  await box.run(["cp", `${box.dir}/web`, web.entry]);
  await web.running();
  expect(web.starts.length).toBe(1);
  expect(sysmgr.count(/cannot start/)).toBe(0);
});

scenario("starts a link to an executable, made before or while it runs", async (box) => {
  const [web, db] = [box.declare("web"), box.declare("db")];
  write(`${box.dir}/web`, web.script(), 0o755);
  write(`${box.dir}/db`, db.script(), 0o755);
  link(`${box.dir}/web`, web.entry);
  await box.start();
  await web.running();
  link("../db", db.entry);
  await db.running();
});

scenario("starts a directory's run in that directory, through a link too", async (box) => {
  const web = box.declare("web").installDirectory();
  const db = box.declare("db");
  const sysmgr = await box.start();
  expect(readlinkSync(`/proc/${await web.running()}/cwd`)).toBe(web.entry);
  makeDirectory(`${box.dir}/db`);
  link(`${box.dir}/db`, db.entry);
  await sysmgr.says(/db: cannot start: a directory without run/);
  write(`${box.dir}/db/run`, db.script(), 0o755);
  expect(readlinkSync(`/proc/${await db.running()}/cwd`)).toBe(`${box.dir}/db`);
});

scenario("leaves hidden entries alone until they get a name", async (box) => {
  const hidden = box.service(".web");
  const web = box.declare("web");
  const other = box.service("other");
  await box.start();
  await other.running();
  write(`${box.sysdir}/.db`, hidden.script(), 0o755);
  rename(`${box.sysdir}/.db`, web.entry);
  // The script traces as `hidden` whatever its name is.
  await web.is("up");
  await until(() => hidden.starts.length > 0, "it has begun");
  expect(hidden.starts.length).toBe(1);
});

scenario("gives a file without #! to sh, with its arguments", async (box) => {
  const web = box.declare("web");
  write(web.entry, web.script().replace("#!/bin/sh\n", ""), 0o755);
  await box.start();
  const pid = await web.running();
  await web.is("up");
  expect(readStat(pid)?.pid).toBe(pid);
});

scenario("a service leads a session of its own, without a terminal", async (box) => {
  const web = box.service("web");
  await box.start();
  const pid = await web.running();
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const [, , pgrp, session, tty] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  expect({ pgrp, session, tty }).toEqual({ pgrp: `${pid}`, session: `${pid}`, tty: "0" });
});

scenario(
  "a service has /dev/null as stdin, sysmgr's stdout and stderr, nothing else",
  async (box) => {
    const web = box.service("web");
    // 3 is what the runtime does not close, 4 and 9 what it does.
    const wrapper = ["sh", "-c", 'exec 3</ 4</ 9</; exec "$@"', "sh"];
    const sysmgr = await box.start({ wrapper });
    const pid = await web.running();
    await web.is("up");
    // Its loader has a library open for a moment.
    const open = await until(() => {
      const found = descriptors(pid);
      return found.size === 3 && found;
    }, "web has its standard streams only");
    expect(Object.fromEntries(open)).toEqual({
      0: "/dev/null",
      1: descriptors(sysmgr.pid).get(1) ?? "",
      2: descriptors(sysmgr.pid).get(2) ?? "",
    });
  },
);

scenario("a service has all signals at default and unblocked, whatever sysmgr got", async (box) => {
  const web = box.service("web");
  await box.start({ wrapper: ["sh", "-c", `trap '' PIPE INT USR1 XFSZ; exec "$@"`, "sh"] });
  const pid = await web.running();
  await until(() => read(`/proc/${pid}/comm`) === "sleep\n", "web has begun");
  const status = read(`/proc/${pid}/status`) ?? "";
  for (const set of ["SigBlk", "SigIgn", "SigCgt"]) {
    expect(status).toContain(`${set}:\t0000000000000000\n`);
  }
});

scenario("a service has the umask that sysmgr got; RUNDIR can be read by all", async (box) => {
  const web = box.service("web", `umask >${box.dir}/umask\ntrace umask\nexec sleep 3600`);
  await box.start({ wrapper: ["sh", "-c", 'umask 077; exec "$@"', "sh"] });
  await web.running();
  await web.traced("umask");
  expect(read(`${box.dir}/umask`)?.trim()).toBe("0077");
  const modes = await box.run(["stat", "-c", "%a", box.rundir, web.directory, web.file("status")]);
  expect(modes.out).toBe("755\n755\n644\n");
});

scenario("a service has the soft limit on descriptors that sysmgr's parent has", async (box) => {
  const web = box.service("web");
  // The shell stays as the parent.
  await box.start({ wrapper: ["sh", "-c", 'ulimit -Sn 321; "$@"; exit $?', "sh"] });
  expect(read(`/proc/${await web.running()}/limits`)).toMatch(/^Max open files +321 /m);
});

scenario("--nofile sets the soft limit on descriptors of services", async (box) => {
  const web = box.service("web");
  await box.start({ args: ["--nofile", "123"] });
  expect(read(`/proc/${await web.running()}/limits`)).toMatch(/^Max open files +123 /m);
});

scenario(
  "a service's environment is sysmgr's, and SYSDIR, RUNDIR and SYSMGR_SERVICE",
  async (box) => {
    const web = box.service("web");
    const env = { EMPTY: "", LINES: "a\nb", BUN_GARBAGE: "1", SYSMGR_SERVICE: "not me" };
    await box.start({ env });
    const found = await environmentWith(await web.running(), "SYSMGR_SERVICE=web");
    // The shell adds its own.
    const expected = {
      ...box.environment,
      EMPTY: "",
      LINES: "a\nb",
      SYSDIR: box.sysdir,
      RUNDIR: box.rundir,
      SYSMGR_SERVICE: "web",
    };
    const own = found.filter((v) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(v));
    expect(own.sort()).toEqual(
      Object.entries(expected)
        .map(([k, v]) => `${k}=${v}`)
        .sort(),
    );
  },
);

scenario("relative directories begin where sysmgr was started", async (box) => {
  const web = box.service("web");
  await box.start({ args: ["-d", "sys", "-r", "./x/../run/"], cwd: box.dir });
  await environmentWith(await web.running(), `SYSDIR=${box.sysdir}`, `RUNDIR=${box.rundir}`);
});

scenario("names, arguments and environment are bytes", async (box) => {
  const web = box.service("w\xff\xc3b", trapping());
  // The command line of Bun.spawn is UTF-8: let a shell make the byte.
  const wrapper = ["sh", "-c", `export ODD="$(printf '\\377')"; exec "$@"`, "sh"];
  await box.start({ wrapper });
  const pid = await web.running();
  expect(read(`/proc/${pid}/cmdline`)).toBe(`/bin/sh\0${web.entry}\0`);
  await environmentWith(pid, "ODD=\xff", "SYSMGR_SERVICE=w\xff\xc3b");
});

scenario("the paths of SYSDIR and RUNDIR are bytes", async (box) => {
  const sysdir = `${box.dir}/s \xff`;
  box.rundir = `${box.dir}/r\n\xfe`;
  const web = box.declare("web");
  makeDirectory(sysdir);
  place(`${sysdir}/web`, web.script(), 0o755);
  const bytes = (text: string) => `"$(printf '${text}_')"`;
  const dirs = [bytes(`${box.dir}/s \\377`), bytes(`${box.dir}/r\\n\\376`)];
  const run = `s=${dirs[0]} r=${dirs[1]}; exec "$@" -d "\${s%_}" -r "\${r%_}"`;
  await box.start({ wrapper: ["sh", "-c", run, "sh"] });
  const pid = await web.running();
  await environmentWith(pid, `RUNDIR=${box.rundir}`, `SYSDIR=${sysdir}`);
  await web.command("down");
  await web.is("down");
});

scenario("a changed file restarts nothing and is what the next start takes", async (box) => {
  const web = box.service("web");
  const other = box.declare("other");
  const sysmgr = await box.start();
  const pid = await web.running();
  web.install("trace new\nexec sleep 3600");
  await sysmgr.answers();
  other.install();
  await other.running();
  expect(web.pid).toBe(pid);
  await web.command("restart");
  await web.runningAfter(pid);
  await web.traced("new");
});

patientScenario("stops and forgets what was removed, except for its stop marker", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const sysmgr = await box.start();
  const pid = await web.running();
  await db.running();
  db.mark();
  await db.is("down");
  web.uninstall();
  db.uninstall();
  await sysmgr.says(/sysmgr: web: removed from SYSDIR/);
  await box.gone(web);
  expect(readStat(pid)).toBeNull();
  await box.gone(db);
  expect(list(db.directory)).toEqual(["lock"]);
  db.install();
  await db.is("down");
  expect(db.starts.length).toBe(1);
  web.install();
  await web.runningAfter(pid);
});

patientScenario("does not mind an entry that is away for a moment", async (box) => {
  const web = box.service("web");
  const db = box.service("db");
  const witness = box.service("witness");
  const sysmgr = await box.start();
  const pids = [await web.running(), await db.running()];
  await witness.running();
  rename(web.entry, `${box.sysdir}/.web~`);
  db.uninstall();
  witness.uninstall();
  await sysmgr.answers();
  rename(`${box.sysdir}/.web~`, web.entry);
  db.install();
  // It was removed at the same time: when it is gone, the others would be, too.
  await box.gone(witness);
  expect([web.pid, db.pid]).toEqual(pids);
  expect([web.starts.length, db.starts.length]).toEqual([1, 1]);
});

patientScenario("a renamed entry is another service", async (box) => {
  const web = box.service("web");
  const www = box.declare("www");
  await box.start();
  const pid = await web.running();
  rename(web.entry, www.entry);
  await www.is("up");
  expect(www.pid).not.toBe(pid);
  await box.gone(web);
});
