/** What sv, svc, svstat and svok do where runit's and daemontools' have no answer, or another one. */
import { expect, test } from "bun:test";
import { COMMANDS, RunDir, SUPERVISOR, SUPERVISOR_COMMANDS } from "../../src/rundir.ts";
import { status } from "../compat/status.ts";
import { AS_NOBODY, BLIND, shell } from "../lib/clients.ts";
import { exists, makeDirectory, read, touch } from "../lib/files.ts";
import { identity } from "../lib/forge.ts";
import { kill, lives } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";
import { lingering, lingeringUntil, trapping } from "../lib/service.ts";
import { until } from "../lib/until.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const STUBBORN = "trap '' TERM; trace ready; while :; do sleep 0.1; done";

// -------------------------------------------------------------------- a new life

scenario("start while a stop is under way waits for the next life", async (box) => {
  const web = box.declare("web").installDirectory(lingering(0.6));
  await box.start();
  const pid = await web.running();
  await web.traced("ready");
  const env = { SVDIR: box.sysdir };
  await box.run(["sv", "down", "web"], { env });
  const { code, out } = await box.run(["sv", "start", "web"], { env });
  expect([code, out]).toEqual([0, expect.stringMatching(/^ok: run: web: \(pid \d+\) \d+s\n$/)]);
  await until(() => web.starts.length === 2, "the next life has begun");
  expect(lives(pid)).toBeFalse();
});

scenario("restart gives a new process even within the same second", async (box) => {
  const web = box.declare("web").installDirectory();
  await box.start();
  for (let life = 1; life <= 4; life++) {
    const pid = await web.running();
    const { out } = await box.run(["sv", "restart", web.entry]);
    expect(out).toMatch(/^ok: run: /);
    expect(out).not.toContain(`(pid ${pid})`);
  }
});

scenario("services are waited for together, and told of as they come", async (box) => {
  const [slow, quick] = [box.declare("slow"), box.declare("quick")];
  const [gate, told] = [`${box.dir}/gate`, `${box.dir}/told`];
  slow.installDirectory(lingeringUntil(gate));
  quick.installDirectory();
  await box.start();
  await slow.traced("ready");
  await quick.running();
  const call = shell(box, `exec sv stop slow quick >${told}`, { env: { SVDIR: box.sysdir } });
  await until(() => read(told)?.includes("quick"), "quick is told of");
  touch(gate);
  expect((await call).code).toBe(0);
  expect(read(told)).toMatch(
    /^ok: down: quick: \d+s, normally up\nok: down: slow: \d+s, normally up\n$/,
  );
});

// ------------------------------------------------------------------------- trouble

patientScenario("a sysmgr that does not answer is given up after seven seconds", async (box) => {
  const web = box.declare("web").installDirectory();
  const sysmgr = await box.start();
  await web.running();
  sysmgr.signal("SIGSTOP");
  const [sv, svc] = await Promise.all([
    box.run(["sv", "hup", web.entry]),
    box.run(["svc", "-h", web.entry]),
  ]);
  sysmgr.signal("SIGCONT");
  const late = "timed out\n";
  expect(sv.code).toBe(1);
  expect(sv.out).toBe(`warning: ${web.entry}: unable to write to supervise/control: ${late}`);
  expect(svc).toEqual({
    code: 0,
    out: "",
    err: `svc: warning: error writing commands to ${web.entry}: ${late}`,
  });
});

scenario("when sysmgr is killed meanwhile, nobody is running", async (box) => {
  const web = box.declare("web").installDirectory(STUBBORN);
  const sysmgr = await box.start();
  await web.traced("ready");
  const waiting = box.run(["sv", "stop", web.entry]);
  await web.is("stopping");
  await sysmgr.crash();
  expect(await waiting).toEqual({
    code: 1,
    out: `fail: ${web.entry}: runsv not running\n`,
    err: "",
  });
  expect((await box.run(["svok", web.entry])).code).toBe(100);
  const stat = await box.run(["svstat", web.entry]);
  expect(stat.out).toBe(`${web.entry}: supervise not running\n`);
  const svc = await box.run(["svc", "-u", web.entry]);
  expect(svc.err).toBe(`svc: warning: unable to control ${web.entry}: supervise not running\n`);
  kill(web.starts[0] ?? 0, "SIGKILL");
});

scenario(
  "who may not control a service is told so, and sees its status",
  async (box) => {
    const web = box.declare("web").installDirectory();
    await box.start();
    await web.running();
    const run = (...command: string[]) => box.run(command, { wrapper: AS_NOBODY });
    const denied = "unable to open supervise/control: access denied";
    for (const word of ["down", "stop", "exit", "restart"]) {
      const expected = { code: 1, out: `warning: ${web.entry}: ${denied}\n`, err: "" };
      expect(await run("sv", word, web.entry)).toEqual(expected);
    }
    const svc = await run("svc", "-d", web.entry);
    expect(svc.err).toBe(`svc: warning: unable to control ${web.entry}: access denied\n`);
    expect((await run("sv", "status", web.entry)).out).toStartWith(`run: ${web.entry}: (pid `);
    expect((await run("svok", web.entry)).code).toBe(0);
  },
  have.setpriv,
);

patientScenario("a check that hangs is ended after five seconds, and has failed", async (box) => {
  const web = box.declare("web").installDirectory();
  const check = "#!/bin/sh\n[ ! -e hang ] || exec sleep 3600\n";
  web.uninstall();
  web.installDirectory(undefined, { check });
  await box.start();
  await web.running();
  touch(`${web.entry}/hang`);
  const { code, out } = await box.run(["sv", "-w", "0", "check", web.entry]);
  expect([code, out]).toEqual([1, expect.stringMatching(/^timeout: run: /)]);
});

scenario("a check that a signal ends has failed", async (box) => {
  const web = box
    .declare("web")
    .installDirectory(undefined, { check: "[ ! -e bad ] || kill -9 $$" });
  await box.start();
  await web.running();
  expect((await box.run(["sv", "check", web.entry])).out).toMatch(/^ok: run: /);
  touch(`${web.entry}/bad`);
  expect((await box.run(["sv", "-w", "0", "check", web.entry])).out).toMatch(/^timeout: run: /);
});

scenario(
  "a check finds what a service finds: its directory, and three descriptors",
  async (box) => {
    const check = `trace "in $(basename "$PWD"), open: $(ls /proc/$$/fd | tr '\\n' ' ')"`;
    const web = box.declare("web").installDirectory(undefined, { check });
    await box.start();
    await web.running();
    const before = web.lines.length;
    await box.run(["sv", "check", web.entry]);
    // The shell keeps its script open as 10, and reads what ls wrote from 3.
    expect(web.lines.slice(before)).toContain("in web, open: 0 1 10 2 3 ");
  },
);

scenario(
  "without inotify it looks now and then",
  async (box) => {
    const web = box.declare("web").installDirectory(lingering(0.3));
    await box.start();
    await web.traced("ready");
    const run = (...command: string[]) => box.run(command, { wrapper: BLIND });
    expect((await run("sv", "stop", web.entry)).out).toMatch(/^ok: down: /);
    expect((await run("sv", "-v", "up", web.entry)).out).toMatch(/^ok: run: /);
    expect(await run("svc", "-d", web.entry)).toEqual({ code: 0, out: "", err: "" });
    await web.is("down");
  },
  have.userns,
);

scenario("the same is asked by many at once, and each is answered", async (box) => {
  const web = box.declare("web").installDirectory(trapping("HUP"));
  await box.start();
  await web.traced("ready");
  const asking = Array.from({ length: 12 }, () => box.run(["sv", "-v", "hup", web.entry]));
  for (const { code } of await Promise.all(asking)) expect(code).toBe(0);
  await web.traced("HUP");
});

// ------------------------------------------------------- loggers, single supervisors

const dir = scratchDirectory();

/** A supervisor that we play: it runs nothing, and does at once what it is told. */
class Played {
  readonly told: string[] = [];
  private readonly timer: Timer;
  private readonly sleeper = Bun.spawn(["sleep", "3600"]);

  constructor(
    readonly rundir: RunDir,
    services: readonly string[],
  ) {
    rundir.writeSupervisorPid();
    const process = identity(this.sleeper.pid);
    for (const name of services) {
      rundir.makeService(name);
      const running = { pid: process.pid, started: process.start };
      rundir.writeStatus(name, status({ state: "up", wanted: "up", process: running, runs: 1 }));
    }
    this.timer = setInterval(() => this.obey(services), 5);
  }

  private obey(services: readonly string[]): void {
    for (const name of services) {
      for (const { command } of this.rundir.take(name, COMMANDS).orders) {
        this.told.push(`${name} ${command}`);
        if (command === "down") this.rundir.writeStatus(name, status({ runs: 1 }));
        this.rundir.finish(name, command);
      }
    }
    for (const { command } of this.rundir.take(SUPERVISOR, SUPERVISOR_COMMANDS).orders) {
      this.told.push(`supervisor ${command}`);
      this.rundir.finish(SUPERVISOR, command);
      if (command === "shutdown") this.rundir.empty();
    }
  }

  async run(...command: string[]): Promise<{ code: number; out: string; told: string[] }> {
    const [program = "", ...args] = command;
    const child = Bun.spawn([`${BIN}/${program}`, ...args], { cwd: dir, stderr: "ignore" });
    const out = await child.stdout.text();
    return { code: await child.exited, out, told: this.told.splice(0) };
  }

  [Symbol.dispose](): void {
    clearInterval(this.timer);
    this.sleeper.kill("SIGKILL");
  }
}

function opened(path: string): RunDir {
  const rundir = RunDir.make(path);
  if (typeof rundir === "number") throw new Error(`cannot make ${path}: ${rundir}`);
  return rundir;
}

const gone = (name: string) => `ok: ./${name}: runsv not running\n`;

test("exit under a scanner: the service goes down, and then its logger", async () => {
  for (const name of ["logged/log", "bare"]) makeDirectory(`${dir}/${name}`);
  using played = new Played(opened(`${dir}/.sysmgr`), ["logged", "logged/log", "bare"]);
  expect(await played.run("sv", "exit", "./logged/log")).toEqual({ code: 0, out: "", told: [] });
  const both = ["logged down", "logged/log down"];
  expect(await played.run("sv", "exit", "./logged")).toEqual({ code: 0, out: "", told: both });
  const expected = { code: 0, out: gone("logged"), told: ["logged down"] };
  expect(await played.run("sv", "shutdown", "./logged")).toEqual(expected);
  expect(await played.run("sv", "-v", "exit", "./bare")).toEqual({
    code: 0,
    out: gone("bare"),
    told: ["bare down"],
  });
});

test("svc -x under a scanner: what runs may end by itself, and what is down stays so", async () => {
  const own = `${dir}/svc`;
  for (const name of ["web", "db"]) makeDirectory(`${own}/${name}`);
  using played = new Played(opened(`${own}/.sysmgr`), ["web", "db"]);
  const quiet = { code: 0, out: "" };
  expect(await played.run("svc", "-x", "svc/web")).toEqual({ ...quiet, told: ["web once"] });
  expect(await played.run("svc", "-dx", "svc/db")).toEqual({ ...quiet, told: ["db down"] });
  expect(await played.run("svc", "-x", "svc/db")).toEqual({ ...quiet, told: [] });
});

test("exit under a supervisor of its own ends that, logger and all", async () => {
  for (const [words, out] of [
    ["sv -v exit", gone("single")],
    ["sv force-shutdown", gone("single")],
    ["sv exit", ""],
    ["svc -x", ""],
    ["svc -dx", ""],
  ] as const) {
    makeDirectory(`${dir}/single/log`);
    makeDirectory(`${dir}/single/supervise`);
    const rundir = opened(`${dir}/single/supervise/.sysmgr`);
    using played = new Played(rundir, ["single", "single/log"]);
    const told = [...(words.includes("-dx") ? ["single down"] : []), "supervisor shutdown"];
    expect(await played.run(...words.split(" "), "./single")).toEqual({ code: 0, out, told });
    expect(await played.run("sv", "status", "./single")).toMatchObject({
      code: 1,
      out: "fail: ./single: runsv not running\n",
    });
    await until(() => !exists(`${rundir.path}/pid`), "it has gone");
  }
});

test("commands go to the logger that a path names", async () => {
  makeDirectory(`${dir}/paths/web/log`);
  using played = new Played(opened(`${dir}/paths/.sysmgr`), ["web", "web/log"]);
  expect((await played.run("sv", "hup", "paths/web/log/")).told).toEqual(["web/log hup"]);
  expect((await played.run("svc", "-t", "paths/web/log", "paths/web")).told).toEqual([
    "web/log term",
    "web term",
  ]);
  const { out } = await played.run("svstat", "paths/web/log");
  expect(out).toMatch(/^paths\/web\/log: up \(pid \d+\) \d+ seconds\n$/);
});
