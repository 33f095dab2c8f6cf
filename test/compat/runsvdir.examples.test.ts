/** The service directories in examples/runit, run by runsvdir as a reader would run them. */
import { expect } from "bun:test";
import { createServer } from "node:net";
import { join } from "node:path";
import { exists, list, place, read } from "../lib/files.ts";
import { FrontEnd, Supervised } from "../lib/frontends.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const EXAMPLES = join(import.meta.dir, "../../examples/runit");
const applets = Bun.which("busybox")
  ? Bun.spawnSync(["busybox", "--list"]).stdout.toString().split("\n")
  : [];
const can = applets.includes("httpd") && (exists(`${BIN}/sv`) || Bun.which("sv") !== null);

/** A port that nobody listened at a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

/** A copy of them, with ports of its own. */
async function copy(box: Sandbox): Promise<string> {
  const dir = `${box.dir}/service`;
  expect((await box.run(["cp", "-R", EXAMPLES, dir])).code).toBe(0);
  for (const file of ["httpd/port", "ftpd/port", "tftpd/env/PORT"]) {
    place(`${dir}/${file}`, `${await freePort()}\n`);
  }
  place(`${dir}/inetd/inetd.conf`, "");
  return dir;
}

scenario(
  "they run, and act on each other, as their comments say",
  async (box) => {
    const dir = await copy(box);
    const cable = `${box.dir}/cable`;
    place(cable, "1\n");
    const env = { PATH: `${BIN}:${process.env.PATH}`, CABLE: cable };
    const runsvdir = FrontEnd.start(box, ["runsvdir", "-P", dir], { env });
    const service = (name: string) => new Supervised(`${dir}/${name}`);

    const url = `http://127.0.0.1:${read(`${dir}/httpd/port`)?.trim()}/`;
    await until(
      () => Bun.spawnSync(["busybox", "wget", "-qO-", url]).stdout.toString() === "Hello.\n",
      "httpd serves",
    );
    expect((await box.run(["sh", `${dir}/httpd/check`], { cwd: `${dir}/httpd` })).code).toBe(0);

    const rules = () => read(`${dir}/fw/rules`) ?? "";
    await until(() => rules().includes("lo 127.0.0.2/8"), "fw knows the address");
    expect(rules()).toBe("# made by fw/run\nlo 127.0.0.1/8\nlo 127.0.0.2/8\n");
    await service("fw").is("down");

    place(cable, "0\n");
    await until(() => !rules().includes("127.0.0.2"), "without a cable the address is gone");
    await service("dhcp_lo").is("down");
    const runs = Number(read(`${dir}/fw/runs`));
    place(cable, "1\n");
    await until(() => rules().includes("127.0.0.2"), "it is back");
    await service("fw").is("down");
    await until(() => Number(read(`${dir}/fw/runs`)) > runs, "fw has run again");

    await until(() => (read(`${dir}/nmeter/load.txt`) ?? "").includes("\n"), "nmeter measures");
    for (const name of ["ftpd", "tftpd", "inetd"]) {
      const program = name === "ftpd" ? "tcpsvd" : name === "tftpd" ? "udpsvd" : name;
      if (applets.includes(program) && applets.includes(name)) await service(name).runs();
      else await service(name).is("down");
    }
    if (list(`${dir}/.sysmgr/inetd`).includes("log")) {
      const log = () => read(`${dir}/inetd/log/logs/current`) ?? "";
      await until(() => /^@[0-9a-f]{24} |^[\d_:.-]+ inetd begins$/m.test(log()), "inetd is logged");
    }
    expect(await runsvdir.end("SIGHUP")).toBe(111);
  },
  can,
);

scenario(
  "all of them are one service of sysmgr in examples",
  async (box) => {
    const run = read(`${EXAMPLES}/run`) ?? "";
    expect(run).toContain("exec runsvdir");
    expect([exists(`${EXAMPLES}/down`), read(`${EXAMPLES}/stop-signal`)]).toEqual([true, "HUP\n"]);
    const before = list(EXAMPLES);
    await box.run(["cp", "-R", `${EXAMPLES}/..`, `${box.dir}/examples`]);
    box.rundir = `${box.dir}/state`;
    const env = { PATH: `${BIN}:${process.env.PATH}`, TMPDIR: box.dir };
    const sysmgr = FrontEnd.start(box, ["sysmgr", "-d", `${box.dir}/examples`, "-r", box.rundir], {
      env,
    });
    await until(() => exists(`${box.rundir}/runit/status`), "sysmgr knows it");
    const svctl = (...words: string[]) =>
      box.run(["svctl", "-t", "15", ...words], { env: { SYSDIR: `${box.dir}/examples` } });
    expect((await svctl("status", "runit")).out).toMatch(/^runit: DOWN, stopped/);
    expect((await svctl("start", "runit")).code).toBe(0);
    const state = () => (read(`${box.rundir}/runit/pid`) ?? "").trim();
    const places = () => read(`/proc/${state()}/cmdline`)?.split("\0") ?? [];
    await until(() => places()[0]?.endsWith("runsvdir"), "runsvdir runs");
    const nmeter = new Supervised(`${places()[1]}/nmeter`);
    await nmeter.runs();
    expect((await svctl("stop", "runit")).code).toBe(0);
    await nmeter.is("down");
    sysmgr.signal("SIGTERM");
    expect(await sysmgr.ended()).toBe(0);
    expect(list(EXAMPLES)).toEqual(before);
  },
  can,
);
