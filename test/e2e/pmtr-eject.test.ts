/** pmtr --eject: jobs as service directories, which do the same under sysmgr. */
import { expect } from "bun:test";
import { readlinkSync } from "node:fs";
import { encodeName } from "../../src/compat/pmtr/names.ts";
import { exists, list, read, write } from "../lib/files.ts";
import { job, type PmtrBox, STAYS, scenario } from "../lib/pmtr.ts";
import { lives } from "../lib/processes.ts";
import { Service } from "../lib/service.ts";
import { until } from "../lib/until.ts";

async function eject(p: PmtrBox): Promise<void> {
  const { code, out, err } = await p.run(["-c", p.conf, "--eject", p.box.sysdir]);
  expect({ code, out, err }).toEqual({ code: 0, out: "", err: "" });
}

/** A service of the sandbox's own sysmgr. */
function service(p: PmtrBox, name: string): Service {
  return new Service(encodeName(name), { sysdir: p.box.sysdir, rundir: p.box.rundir }, "/dev/null");
}

async function runs(p: PmtrBox, name: string): Promise<number> {
  return await until(() => {
    const pid = Number(service(p, name).status.pid ?? 0);
    return lives(pid) && pid;
  }, `${name} runs`);
}

scenario("the jobs run under sysmgr, with all that they say", async (p) => {
  const out = `${p.box.dir}/out`;
  p.edit(
    job("web", 'cmd /bin/sh -c "pwd; exec sleep 3600" ', "dir /usr", `out ${out}`),
    job('"a b"', 'cmd /bin/sleep "3600"'),
    job("bad", "cmd /bin/false"),
    job("asks", 'cmd /bin/sh -c "exit 33"'),
    job("once", "cmd /bin/false", "once"),
    job("off", STAYS, "disable"),
  );
  await eject(p);
  const sysmgr = await p.box.start();
  const pid = await runs(p, "web");
  await until(() => read(out) === "/usr\n", "it has written");
  expect([0, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))).toEqual([
    "/dev/null",
    "/dev/null",
  ]);
  await runs(p, "a b");
  await sysmgr.says(/^sysmgr: bad: exited with 1 after .*; next start in [\d.]+ s$/m);
  await sysmgr.says(/^sysmgr: once: exited with 1 after .*; down \(restart: never\)$/m);
  for (const name of ["asks", "off"]) await service(p, name).is("down");
});

scenario("wait: those that follow start when it has ended", async (p) => {
  const gate = `${p.box.dir}/gate`;
  const wait = p.script("wait", `while [ ! -e '${gate}' ]; do sleep 0.1; done`);
  p.edit(job("setup", `cmd ${wait}`, "wait", "once"), job("web", STAYS));
  await eject(p);
  await p.box.start();
  await until(() => list(`${p.box.rundir}/web/waiting`).length > 0, "web waits");
  write(gate, "");
  await until(() => read(`/proc/${service(p, "web").status.pid}/comm`) === "sleep\n", "web runs");
});

scenario("bounce every: timeout ends it, sysmgr starts it again", async (p) => {
  p.edit(job("web", STAYS, "bounce every 1s"));
  await eject(p);
  const sysmgr = await p.box.start();
  await sysmgr.says(/^sysmgr: web: exited with 124 after 1(\.\d)? s; next start/m);
});

scenario("the files teach, and nothing is written over", async (p) => {
  p.edit(job("web", STAYS, "depends {", "/etc/passwd", "}"));
  await eject(p);
  const run = read(`${p.box.sysdir}/web/run`) ?? "";
  for (const word of [
    "sysmgr(8)",
    "restart-delay",
    "stop-timeout",
    "svctl restart",
    "/etc/passwd",
  ]) {
    expect(run).toContain(word);
  }
  const { code, err } = await p.run(["-c", p.conf, "--eject", p.box.sysdir]);
  const text = `pmtr: cannot write ${p.box.sysdir}/web: it is there\n`;
  expect({ code, err }).toEqual({ code: 1, err: text });
  expect(exists(`${p.box.dir}/pmtr`)).toBeFalse();
});
