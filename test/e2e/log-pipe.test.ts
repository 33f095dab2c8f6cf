/** A service directory with a logger: what is written arrives, whoever is killed meanwhile. */
import { expect } from "bun:test";
import { append, exists, link, list, read, remove, rename, touch, write } from "../lib/files.ts";
import { descriptors, kill, lives } from "../lib/processes.ts";
import type { Sandbox } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { type Service, STAY } from "../lib/service.ts";
import { until } from "../lib/until.ts";

/** A service that says what it is told to by a file, and its logger, which keeps what it reads. */
function logged(box: Sandbox, body = "", logBody = ""): Logged {
  const [web, log] = [box.declare("web"), box.declare("web/log")];
  const kept = `${box.dir}/kept`;
  const said = `${box.dir}/said`;
  touch(said);
  web.installLogged(body || `exec tail -n +1 -f ${said}`, log, logBody || `exec cat >>${kept}`);
  return { web, log, said, kept: () => read(kept) ?? "" };
}

type Logged = { web: Service; log: Service; said: string; kept: () => string };

async function keeps(kept: () => string, text: string): Promise<void> {
  await until(() => kept() === text, `the logger has kept ${JSON.stringify(text)}`);
}

patientScenario("standard output goes to the logger, standard error does not", async (box) => {
  const { web, log, kept } = logged(box, `echo out; echo err >&2; ${STAY}`);
  const sysmgr = await box.start();
  await web.running();
  await log.running();
  await keeps(kept, "out\n");
  await sysmgr.says(/^err$/m);
  expect([log.status.state, web.status.logger, log.status.logger]).toEqual([
    expect.stringMatching(/^(starting|up)$/),
    "yes",
    undefined,
  ]);
});

patientScenario("neither a restart of the one nor of the other loses a byte", async (box) => {
  const { web, log, kept } = logged(box, `echo life $(wc -l <${box.dir}/trace/1); ${STAY}`);
  await box.start();
  let text = "";
  for (let life = 1; life <= 3; life++) {
    text += `life ${life}\n`;
    await keeps(kept, text);
    const [service, logger] = [await web.running(), await log.aged(1000)];
    kill(logger, life === 2 ? "SIGKILL" : "SIGTERM");
    // What cat has read and not written yet dies with it.
    await until(() => !lives(logger), "the logger is dead");
    kill(service, "SIGKILL");
    await log.runningAfter(logger);
  }
});

patientScenario("what was written while no logger ran is there for the next one", async (box) => {
  const { web, log, said, kept } = logged(box);
  const sysmgr = await box.start();
  await web.running();
  await log.running();
  expect((await box.run(["svctl", "stop", "web/log"])).code).toBe(0);
  const pid = await web.running();
  append(said, "while it was down\n");
  await sysmgr.crash();
  // Neither logger nor sysmgr: the pipe is the service's alone.
  append(said, "while both were\n");
  const next = await box.start();
  append(said, "and again");
  expect((await box.run(["svctl", "start", "web/log"])).code).toBe(0);
  await keeps(kept, "while it was down\nwhile both were\nand again");
  expect([web.starts, next.count(/took over 1 running/)]).toEqual([[pid], 1]);
});

for (const way of ["", ", nor through a link"])
  patientScenario(
    `an upgrade keeps what nobody has read, though nobody else has it${way}`,
    async (box) => {
      if (way !== "") {
        link(box.dir, `${box.dir}/way`);
        box.rundir = `${box.dir}/way/run`;
      }
      // Nothing is on its way through the logger when it is stopped.
      const gate = `${box.dir}/gate`;
      const speaks = `while [ ! -e '${gate}' ]; do sleep 0.1; done\necho last words`;
      const { web, log, kept } = logged(box, speaks);
      const sysmgr = await box.start();
      await log.running();
      await box.run(["svctl", "stop", "web/log"]);
      touch(gate);
      await box.run(["svctl", "once", "web"]);
      await web.is("down");
      const before = kept();
      const words = web.starts.length;
      expect((await box.run(["svctl", "upgrade"])).code).toBe(0);
      await sysmgr.answers();
      sysmgr.rebase();
      await box.run(["svctl", "start", "web/log"]);
      await until(() => kept().split("\n").length === words + 1, `${words} lives after ${before}`);
      // What was inherited was closed again: else this would never come to an end.
      const pipes = [...descriptors(sysmgr.pid).values()].filter((path) => path.includes(".pipe"));
      expect(pipes.length).toBe(1);
    },
  );

patientScenario("a successor takes over both, and the pipe between them", async (box) => {
  const { web, log, said, kept } = logged(box);
  const first = await box.start();
  const [pid, logger] = [await web.running(), await log.running()];
  await first.crash();
  append(said, "nobody supervises\n");
  await keeps(kept, "nobody supervises\n");
  const second = await box.start();
  expect(second.count(/took over 2 running services/)).toBe(1);
  kill(logger, "SIGTERM");
  await log.runningAfter(logger);
  append(said, "a new logger\n");
  await keeps(kept, "nobody supervises\na new logger\n");
  expect(web.starts).toEqual([pid]);
});

patientScenario("a start that a predecessor did not come to is made with the pipe", async (box) => {
  const { web, log, kept } = logged(box, `echo life; ${STAY}`);
  const first = await box.start();
  const pid = await web.running();
  await log.running();
  await keeps(kept, "life\n");
  await first.crash();
  kill(pid, "SIGKILL");
  await until(() => !lives(pid), "the service is gone");
  // As it is between the writing of the status and the start.
  const status = (read(web.file("status")) ?? "").replace(/^(pid|start)=.*\n/gm, "");
  write(web.file("status"), status.replace(/^state=.*$/m, "state=starting"));
  await box.start();
  await keeps(kept, "life\nlife\n");
});

patientScenario("at shutdown the logger goes last, after all that was written", async (box) => {
  const body = `trap 'sleep 0.2; echo dying; printf "no newline"; exit' TERM
echo alive; while :; do sleep 3600 & wait $!; done`;
  const { web, log, kept } = logged(box, body, `cat >>${box.dir}/kept; trace end of file`);
  const sysmgr = await box.start();
  await web.running();
  await keeps(kept, "alive\n");
  await sysmgr.stop();
  expect(kept()).toBe("alive\ndying\nno newline");
  expect(log.lines.at(-1)).toBe("end of file");
});

patientScenario("who is left in the service's session does not keep the logger", async (box) => {
  const { web, log, kept } = logged(
    box,
    `(trap 'echo I too; exit' TERM; trace ready; while :; do sleep 3600 & wait $!; done) & ${STAY}`,
    `cat >>${box.dir}/kept; trace end of file`,
  );
  const sysmgr = await box.start();
  await web.traced("ready");
  await log.running();
  await sysmgr.stop();
  expect([kept(), log.lines.at(-1)]).toEqual(["I too\n", "end of file"]);
});

patientScenario("a logger that does not end is killed after the services", async (box) => {
  const { log, kept } = logged(
    box,
    "",
    `trap 'trace term' TERM; cat >>${box.dir}/kept; trace end of file; exec sleep 3600`,
  );
  const neighbour = box.service("neighbour");
  const sysmgr = await box.start();
  const pid = await log.running();
  await neighbour.running();
  await sysmgr.stop();
  expect([lives(pid), kept(), log.lines.slice(1)]).toEqual([false, "", ["end of file"]]);
  expect(sysmgr.count(/waiting for web\/log/)).toBeGreaterThan(0);
});

patientScenario("a logger that hangs blocks its own service only", async (box) => {
  const { web, log } = logged(box, "trace before; yes; trace after", STAY);
  const neighbour = box.service("neighbour");
  const sysmgr = await box.start();
  await log.running();
  await web.traced("before");
  await neighbour.running();
  await sysmgr.answers();
  expect((await box.run(["svctl", "restart", "neighbour"])).code).toBe(0);
  expect(web.count("after")).toBe(0);
  expect((await box.run(["svctl", "stop", "web"])).code).toBe(0);
});

patientScenario(
  "a service that is removed takes its logger with it, at end of file",
  async (box) => {
    const { web, log } = logged(box, "", `cat >/dev/null; trace end of file`);
    const sysmgr = await box.start();
    await web.running();
    await log.running();
    rename(web.entry, `${box.dir}/aside`);
    await log.traced("end of file");
    await box.gone(log);
    await box.gone(web);
    const pipes = () => list(`${box.rundir}/.pipe`);
    await until(() => !exists(web.directory) && pipes().length === 0, "nothing is left");
    sysmgr.rebase();
    // And back again.
    rename(`${box.dir}/aside`, web.entry);
    await until(() => log.starts.length === 2 && web.starts.length === 2, "both run again");
    sysmgr.rebase();
  },
);

patientScenario(
  "a logger that is removed stays as long as its service writes to it",
  async (box) => {
    const { web, log, said, kept } = logged(box);
    const sysmgr = await box.start();
    const pid = await web.running();
    const logger = await log.running();
    remove(log.entry);
    sysmgr.signal("SIGALRM");
    await sysmgr.answers();
    append(said, "still\n");
    await keeps(kept, "still\n");
    expect(log.pid).toBe(logger);
    await box.run(["svctl", "restart", "web"]);
    await web.runningAfter(pid);
    await box.gone(log);
    // What it says now goes where the output of sysmgr goes.
    await sysmgr.says(/^still$/m);
    await until(() => web.status.logger === undefined, "its status tells of no logger");
    sysmgr.rebase();
  },
);

patientScenario("a log directory without run is reported, and no hindrance", async (box) => {
  const { web, log } = logged(box);
  remove(`${log.entry}/run`);
  const sysmgr = await box.start();
  await web.running();
  await sysmgr.says(/web\/log: cannot start: a directory without run/);
  const { out, code } = await box.run(["svctl", "status"]);
  expect(out).toMatch(/^web: UP, .*\nweb\/log: DOWN, cannot start: a directory without run\n$/);
  expect(code).toBe(1);
});

patientScenario("a logger has a stop marker and settings of its own", async (box) => {
  const [web, log] = [box.declare("web"), box.declare("web/log")];
  web.installLogged(STAY, log, "exec cat >/dev/null", { "log/down": "" });
  await box.start();
  await web.running();
  await until(() => log.status.wanted === "down", "it is normally down");
  expect((await box.run(["svctl", "start", "web/log"])).code).toBe(0);
  const logger = await log.running();
  const pid = web.pid;
  expect((await box.run(["svctl", "restart", "web/log"])).code).toBe(0);
  await log.runningAfter(logger);
  expect(web.pid).toBe(pid);
});

patientScenario("a service and its logger are found by their paths, too", async (box) => {
  const { web, log } = logged(box);
  const real = `${box.dir}/real`;
  rename(web.entry, real);
  await box.run(["ln", "-s", real, web.entry]);
  await box.start();
  const [pid, logger] = [await web.running(), await log.running()];
  const status = async (argument: string, cwd = "/") =>
    (await box.run(["svctl", "status", argument], { cwd })).out.replace(/pid (\d+).*/g, "$1");
  const both = `web: UP, ${pid}\nweb/log: UP, ${logger}\n`;
  for (const path of ["web", web.entry, real]) expect(await status(path)).toBe(both);
  expect(await status(".", real)).toBe(both);
  for (const path of ["web/log", log.entry, `${real}/log`])
    expect(await status(path)).toBe(`web/log: UP, ${logger}\n`);
  expect(await status(".", `${real}/log`)).toBe(`web/log: UP, ${logger}\n`);
  const { out } = await box.run(["svctl", "status", "--json", "web"]);
  expect(JSON.parse(out)).toMatchObject([
    { name: "web", logger: "web/log", pid },
    { name: "web/log", logger: null, pid: logger },
  ]);
});

patientScenario("what finish and control scripts say goes to the logger, too", async (box) => {
  const { web, log, kept } = logged(box, STAY, "");
  for (const [file, text] of [
    ["finish", "#!/bin/sh\necho finished\n"],
    ["control/h", "#!/bin/sh\necho hup\n"],
  ] as const) {
    await box.run(["mkdir", "-p", `${web.entry}/control`]);
    append(`${web.entry}/${file}`, text);
    await box.run(["chmod", "755", `${web.entry}/${file}`]);
  }
  await box.start();
  await web.running();
  await log.running();
  await web.command("hup");
  await keeps(kept, "hup\n");
  await box.run(["svctl", "stop", "web"]);
  await keeps(kept, "hup\nfinished\n");
});
