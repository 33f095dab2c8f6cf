/** examples/init: sysmgr below the init systems of a host, as the files there have it. */
import { expect, test } from "bun:test";
import { Container, hasApplet, haveContainers } from "../lib/container.ts";
import { exists, link, list, makeDirectory, place, read } from "../lib/files.ts";
import { kill, lives } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";

const EXAMPLE = `${import.meta.dir}/../../examples/init`;
const RUNSVDIR = "/usr/bin/runsvdir";
const SV = "/usr/bin/sv";

patientScenario(
  "busybox init starts it again when it is killed, and lets it stop everything in order",
  async (box) => {
    const container = new Container(box);
    for (const name of ["init", "logger", "syslogd"])
      link("/bin/busybox", `${container.root}/sbin/${name}`);
    const inittab = read(`${EXAMPLE}/inittab`) ?? "";
    container.file("/etc/inittab", `::respawn:/sbin/syslogd -n -O /log\n${inittab}`, 0o644);
    const stay = "while :; do sleep 0.1; done";
    container.service("web", `trap 'echo web >>/ends; exit' TERM; ${stay}`);
    container.service(
      "worker",
      `sysmgr-depends web || exit; trap 'echo worker >>/ends; exit' TERM; echo works; ${stay}`,
    );
    container.start(["/sbin/init"], { root: "rw" });
    await container.works();
    const init = await container.init();
    const inside = async (path: string) => (await container.run("cat", `/run/sysmgr/${path}`)).out;
    const log = () => (read(`${container.root}/log`) ?? "").replace(/^.*? sysmgr: /gm, "");
    expect((await container.run("svctl", "-t", "90", "ready")).code).toBe(0);
    await until(() => /^worker \| works$/m.test(log()), "syslog has what services write");

    const web = await inside("web/pid");
    await container.run("kill", "-9", (await inside("pid")).trim());
    await until(() => /took over 2 running services/.test(log()), "the next one takes over");
    expect(await inside("web/pid")).toBe(web);

    // What halt(8) of busybox does.
    await container.run("kill", "-USR1", "1");
    await until(() => (read(`${container.root}/ends`) ?? "").split("\n").length > 2, "both end");
    expect(read(`${container.root}/ends`)).toBe("worker\nweb\n");
    // Whether it may halt its namespace is another matter.
    kill(init, "SIGKILL");
    await container.ended();
  },
  haveContainers && ["init", "logger", "syslogd"].every(hasApplet),
);

patientScenario(
  "runit starts it again when it is killed, and TERM stops everything",
  async (box) => {
    const web = box.service("web", trapping("TERM"));
    const service = `${box.dir}/service/sysmgr`;
    makeDirectory(service);
    const run = read(`${EXAMPLE}/run`) ?? "";
    const places = run.replace("/var/sysmgr", box.sysdir).replace("/run/sysmgr", box.rundir);
    place(`${service}/run`, places, 0o755);
    const runsvdir = Bun.spawn([RUNSVDIR, `${box.dir}/service`], {
      env: {
        ...box.environment,
        // We have a runsv, too.
        PATH: `/usr/bin:/bin:${BIN}`,
      },
      stdio: ["ignore", "ignore", "ignore"],
    });
    const pid = await web.running();
    await web.traced("ready");
    const sysmgr = () => Number(read(`${box.rundir}/pid`));
    const first = sysmgr();
    kill(first, "SIGKILL");
    await until(() => sysmgr() !== first && lives(sysmgr()), "runit starts another one");
    expect(await web.running()).toBe(pid);
    expect((await box.run([SV, "-w", "15", "stop", service])).out).toMatch(/^ok: down:/);
    expect([web.count("TERM"), lives(pid), list(box.rundir)]).toEqual([1, false, []]);
    runsvdir.kill("SIGHUP");
    expect(await runsvdir.exited).toBe(111);
  },
  exists(RUNSVDIR) && exists(SV),
);

test("they are sh, and no more is asked of a host than they say", () => {
  for (const file of ["run", "sysmgr.openrc"]) {
    expect(Bun.spawnSync(["sh", "-n", `${EXAMPLE}/${file}`]).exitCode).toBe(0);
  }
  const places = /\/usr\/local\/bin\/(\S+?)[\s']/g;
  for (const file of ["sysmgr.service", "sysmgr.openrc", "inittab"]) {
    const programs = [...(read(`${EXAMPLE}/${file}`) ?? "").matchAll(places)].map((m) => m[1]);
    expect(programs.length).toBeGreaterThan(0);
    expect(programs.filter((name) => !exists(`${BIN}/${name}`))).toEqual([]);
  }
});

patientScenario(
  "systemd understands the unit",
  async (box) => {
    const unit = `${box.dir}/sysmgr.service`;
    const text = read(`${EXAMPLE}/sysmgr.service`) ?? "";
    place(unit, text.replaceAll("/usr/local/bin", BIN));
    const verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit];
    expect(await box.run(verify)).toEqual({ code: 0, out: "", err: "" });
  },
  Bun.which("systemd-analyze") !== null,
);
