/** Service directories: what stands beside `run`. */
import { expect } from "bun:test";
import { chmodSync } from "node:fs";
import { exists, read, remove, rename, touch } from "../lib/files.ts";
import { kill, lives } from "../lib/processes.ts";
import { have, patientScenario } from "../lib/scenario.ts";
import { STAY } from "../lib/service.ts";
import { until } from "../lib/until.ts";

/** Ends as told by a signal: 0, 3, or by KILL. */
const ENDING = `trap 'kill $!; exit 0' USR1; trap 'kill $!; exit 3' USR2
trace ready\nwhile :; do sleep 3600 & wait $!; kill $!; done`;

// --------------------------------------------------------------------- finish

patientScenario("finish is told how each life ended, before the next one begins", async (box) => {
  const web = box.declare("web");
  web.installDirectory(ENDING, {
    finish: `trace finish "$@" in $(basename "$PWD") of $SYSMGR_SERVICE`,
  });
  await box.start();
  for (const [round, [signal, told]] of (
    [
      ["SIGUSR1", "0 0"],
      ["SIGUSR2", "3 0"],
      ["SIGKILL", "-1 9"],
    ] as const
  ).entries()) {
    await web.traced("ready", round + 1);
    const pid = await web.aged(1000);
    kill(pid, signal);
    await web.traced(`finish ${told} in web of web`);
    await web.runningAfter(pid);
    // Its traces are in order: the end, then the next beginning.
    const lines = web.lines.filter((line) => line !== "ready");
    expect(lines.slice(-2)[0]).toBe(`finish ${told} in web of web`);
    expect(lines.at(-1)).toBe(`start ${web.pid}`);
  }
  web.mark();
  await web.is("down");
  expect(web.count("finish -1 15 in web of web")).toBe(1);
});

patientScenario(
  "while finish runs nothing is started; what is asked for comes after it",
  async (box) => {
    const web = box.declare("web");
    const gate = `${box.dir}/gate`;
    const finish = `trace finishing; while [ ! -e ${gate} ]; do sleep 0.1; done; trace finished`;
    web.installDirectory(STAY, { finish });
    const sysmgr = await box.start();
    const pid = await web.aged(1000);
    kill(pid, "SIGKILL");
    await web.is("finishing");
    await web.command("down");
    expect((await box.run(["svctl", "status", "web"])).out).toMatch(/^web: DOWN, .*finishing/);
    await web.command("up");
    sysmgr.signal("SIGALRM");
    await sysmgr.answers();
    expect([web.starts.length, web.status.state]).toEqual([1, "finishing"]);
    touch(gate);
    await web.runningAfter(pid);
    expect(web.lines.slice(-3)).toEqual(["finishing", "finished", `start ${web.pid}`]);
  },
);

patientScenario("a successor starts nothing beside a finish that still runs", async (box) => {
  const web = box.declare("web");
  const gate = `${box.dir}/gate`;
  const finish = `trace finishing; while [ ! -e ${gate} ]; do sleep 0.1; done; trace finished`;
  web.installDirectory(STAY, { finish });
  const first = await box.start();
  const pid = await web.aged(1000);
  kill(pid, "SIGKILL");
  await web.traced("finishing");
  await until(() => web.status.finish !== undefined, "finish is written down");
  await first.crash();
  const second = await box.start();
  await second.answers();
  expect([web.starts.length, web.status.state]).toEqual([1, "finishing"]);
  touch(gate);
  await until(() => web.starts.length === 2, "then it is started");
  expect(web.lines.slice(-2)[0]).toBe("finished");
  await web.running();
});

patientScenario("a finish that hangs does not keep sysmgr from ending", async (box) => {
  const web = box.declare("web");
  web.installDirectory(STAY, { finish: "trace finishing $$; exec sleep 3600" });
  const sysmgr = await box.start();
  await web.running();
  await sysmgr.stop();
  const finish = Number(web.lines.find((l) => l.startsWith("finishing"))?.slice(10));
  expect(finish).toBeGreaterThan(1);
  await until(() => !lives(finish), "it is dead");
});

patientScenario("a shutdown ends when the finish that ran at its beginning does", async (box) => {
  const web = box.declare("web");
  const gate = `${box.dir}/gate`;
  web.installDirectory(STAY, { finish: `while [ ! -e ${gate} ]; do sleep 0.1; done` });
  const sysmgr = await box.start();
  kill(await web.running(), "SIGKILL");
  await web.is("finishing");
  sysmgr.signal("SIGTERM");
  await sysmgr.says(/SIGTERM: stopping/);
  touch(gate);
  expect(await sysmgr.exited()).toBe(0);
  // Once a second it says whom it waits for; for 9 s, if nobody had told that this is over.
  expect(sysmgr.count(/waiting for web/)).toBeLessThan(8);
});

patientScenario("a finish that cannot be run is told of, and no hindrance", async (box) => {
  const web = box.declare("web");
  web.installDirectory(STAY, { finish: "exit" });
  const sysmgr = await box.start();
  const pid = await web.aged(1000);
  remove(`${web.entry}/finish`);
  kill(pid, "SIGKILL");
  await web.runningAfter(pid);
  expect(sysmgr.count(/web: cannot run finish: No such file/)).toBe(1);
});

// ------------------------------------------------------------------ readiness

patientScenario("with a check it is up when that first passes", async (box) => {
  const web = box.declare("web");
  const gate = `${box.dir}/gate`;
  web.installDirectory(STAY, { check: `trace check; test -e ${gate}` });
  await box.start();
  await web.traced("check", 2);
  const call = box.run(["sysmgr-depends", "-t", "1", "web"]);
  expect((await call).code).toBe(1);
  expect(web.status.state).toBe("starting");
  touch(gate);
  await web.is("up");
  const checks = web.count("check");
  expect((await box.run(["sysmgr-depends", "web"])).code).toBe(0);
  expect([web.count("check"), web.starts.length]).toEqual([checks, 1]);
});

patientScenario("a check that hangs is killed, and run again", async (box) => {
  const web = box.declare("web");
  const gate = `${box.dir}/gate`;
  web.installDirectory(STAY, { check: `trace check; test -e ${gate} || exec sleep 3600` });
  const sysmgr = await box.start();
  await sysmgr.says(/web: check killed after 5 s/);
  touch(gate);
  await web.is("up");
  expect(web.starts.length).toBe(1);
});

const NOTIFYING = (gate: string, say = "echo >&7") =>
  `trace ready\nwhile [ ! -e ${gate} ]; do sleep 0.1; done\n${say}\ntrace told $?\n${STAY}`;

patientScenario("with a notification-fd it is up when it writes a newline there", async (box) => {
  const web = box.declare("web");
  const gate = `${box.dir}/gate`;
  web.installDirectory(NOTIFYING(gate), {}, { "notification-fd": "7\n" });
  const sysmgr = await box.start();
  await web.traced("ready");
  await web.aged(1_500);
  expect(web.status.state).toBe("starting");
  touch(gate);
  await web.is("up");
  remove(gate);
  const pid = await web.running();
  await web.command("restart");
  await web.runningAfter(pid);
  await web.traced("ready", 2);
  // A newline of the last life does not count.
  await sysmgr.answers();
  expect(web.status.state).toBe("starting");
  touch(gate);
  await web.is("up");
});

for (const [title, say] of [
  ["what it says while no sysmgr runs, or across an upgrade, is heard", "echo >&7"],
  ["one that has said it then, and closed it, is up in the end", "echo >&7; exec 7>&-"],
] as const) {
  patientScenario(title, async (box) => {
    const web = box.declare("web");
    const gate = `${box.dir}/gate`;
    web.installDirectory(NOTIFYING(gate, say), {}, { "notification-fd": "7" });
    const first = await box.start();
    await web.traced("ready");
    const pid = await web.running();
    await first.crash();
    touch(gate);
    await web.traced("told 0");
    await box.start();
    await web.is("up");
    expect([web.pid, web.starts.length]).toEqual([pid, 1]);
  });
}

// -------------------------------------------------------------- down, restart

patientScenario("with a file down it is down until it is asked for", async (box) => {
  const web = box.declare("web");
  web.installDirectory(STAY, {}, { down: "" });
  const first = await box.start();
  await web.is("down");
  expect([read(web.file("lock")), web.starts.length]).toEqual(["", 0]);
  expect((await box.run(["svctl", "start", "web"])).code).toBe(0);
  const pid = await web.running();
  // Once it is known, the marker is the user's: neither a scan nor a successor makes it again.
  first.signal("SIGALRM");
  await first.answers();
  await first.crash();
  const second = await box.start();
  await second.answers();
  expect([web.pid, exists(web.file("lock")), web.starts.length]).toEqual([pid, false, 1]);
});

patientScenario(
  "restart: unless tells exit codes, which count where no end was asked for",
  async (box) => {
    const web = box.declare("web");
    const script = `trap 'kill $!; exit 3' TERM; trap 'kill $!; exit 4' USR1; trace ready
while :; do sleep 3600 & wait $!; kill $!; done`;
    web.installDirectory(script, {}, { restart: "unless 0 3\n", "restart-delay": "0" });
    const sysmgr = await box.start();
    await web.traced("ready");
    kill(await web.running(), "SIGUSR1");
    await web.traced("ready", 2);
    expect((await box.run(["svctl", "restart", "web"])).code).toBe(0);
    await web.traced("ready", 3);
    kill(await web.running(), "SIGTERM");
    await web.is("down");
    expect(web.status).toMatchObject({ wanted: "once", exit: "3" });
    const told = /web: exited with 3 after .*; down \(restart: unless 0 3\)/;
    await sysmgr.says(told);
    expect(sysmgr.count(told)).toBe(1);
    expect((await box.run(["svctl", "start", "web"])).code).toBe(0);
    await web.traced("ready", 4);
  },
);

patientScenario(
  "restart: on-failure and never say after which ends it is started again",
  async (box) => {
    const [failing, never] = [box.declare("failing"), box.declare("never")];
    const delay = { "restart-delay": "0" };
    failing.installDirectory(ENDING, {}, { ...delay, restart: "on-failure\n" });
    never.installDirectory(ENDING, {}, { ...delay, restart: "never\n" });
    const sysmgr = await box.start();
    for (const service of [failing, never]) await service.traced("ready");
    const pids = [await failing.running(), await never.running()];
    for (const pid of pids) kill(pid, "SIGUSR2");
    await never.is("down");
    const next = await failing.runningAfter(pids[0] ?? 0);
    await failing.traced("ready", 2);
    kill(next, "SIGUSR1");
    await failing.is("down");
    for (const service of [failing, never]) expect(service.status.wanted).toBe("once");
    await sysmgr.crash();
    const second = await box.start();
    await second.answers();
    expect([failing.starts.length, never.starts.length]).toEqual([2, 1]);
    expect((await box.run(["svctl", "-q", "start", "never"])).code).toBe(0);
    await never.running();
  },
);

for (const [what, meanwhile] of [
  ["runs", () => {}],
  ["has ended", (finish: number) => kill(finish, "SIGKILL")],
] as const) {
  patientScenario(
    `a successor starts no job again that has had its only life; its finish ${what}`,
    async (box) => {
      const job = box.declare("job");
      const gate = `${box.dir}/gate`;
      const finish = `trace finishing $$; while [ ! -e '${gate}' ]; do sleep 0.1; done`;
      job.installDirectory(ENDING, { finish }, { restart: "never\n" });
      const sysmgr = await box.start();
      await job.traced("ready");
      kill(await job.running(), "SIGUSR2");
      const line = await until(() => job.lines.find((l) => l.startsWith("finishing")), "it ends");
      await until(() => job.status.finish, "that is written down");
      await sysmgr.crash();
      meanwhile(Number(line.slice(10)));
      const successor = await box.start();
      touch(gate);
      await job.is("down");
      await successor.answers();
      expect([job.starts.length, job.status.wanted]).toEqual([1, "once"]);
    },
  );
}

patientScenario("nor one that has ended while there was no sysmgr", async (box) => {
  const job = box.declare("job").installDirectory(ENDING, {}, { restart: "never\n" });
  const sysmgr = await box.start();
  await job.traced("ready");
  const pid = await job.running();
  await sysmgr.crash();
  kill(pid, "SIGUSR2");
  await until(() => !lives(pid), "it has ended");
  const successor = await box.start();
  await successor.answers();
  expect([job.starts.length, job.status.state, job.status.wanted]).toEqual([1, "down", "once"]);
});

patientScenario(
  "a finish that writes in its own directory is told once all the same",
  async (box) => {
    const web = box.declare("web");
    web.installDirectory(STAY, { finish: 'trace "finish $*"; echo "$*" >>ends' });
    chmodSync(`${web.entry}/run`, 0o644);
    const sysmgr = await box.start();
    await web.traced("finish 111 0");
    await until(() => exists(`${web.entry}/ends`), "it has written");
    for (const _ of [1, 2, 3]) await sysmgr.answers();
    expect(web.count("finish 111 0")).toBe(1);
  },
);

patientScenario("a start that is asked for as it ends is not lost", async (box) => {
  const never = box.declare("never");
  never.installDirectory(ENDING, {}, { restart: "never\n" });
  const sysmgr = await box.start();
  await never.traced("ready");
  const pid = await never.running();
  await sysmgr.pause();
  kill(pid, "SIGUSR2");
  await until(() => !lives(pid), "it has ended");
  touch(never.file("control/up"));
  sysmgr.signal("SIGCONT");
  await never.runningAfter(pid);
});

patientScenario("restart-delay takes the place of the backoff", async (box) => {
  const [quick, slow] = [box.declare("quick"), box.declare("slow")];
  quick.installDirectory("exit 1", {}, { "restart-delay": "0.05" });
  slow.installDirectory("exit 1", {}, { "restart-delay": "3600 60\n" });
  await box.start();
  await until(() => quick.starts.length >= 6, "no backoff");
  await slow.is("backoff");
  const { since, next } = slow.status;
  expect(Number(next) - Number(since)).toBeGreaterThan(3_590);
  expect(slow.starts.length).toBe(1);
  for (const service of [quick, slow]) service.mark();
});

// ------------------------------------------------------------------- stopping

patientScenario("stop-signal stops it, and stop-timeout goes on to KILL", async (box) => {
  const [polite, deaf] = [box.declare("polite"), box.declare("deaf")];
  const trap = (signal: string) => `trap 'trace got; exit 0' ${signal}; trap '' TERM
trace ready\nwhile :; do sleep 3600 & wait $!; kill $!; done`;
  polite.installDirectory(trap("INT"), {}, { "stop-signal": "SIGINT\n" });
  deaf.installDirectory(trap("HUP"), {}, { "stop-timeout": "0.2\n" });
  const sysmgr = await box.start();
  for (const service of [polite, deaf]) await service.traced("ready");
  expect((await box.run(["svctl", "-q", "stop", "polite", "deaf"])).code).toBe(0);
  expect([polite.status.exit, polite.count("got")]).toEqual(["0", 1]);
  expect(deaf.status.exit).toBe("signal KILL");
  expect(sysmgr.count(/deaf: still runs after 0.2 s; KILL/)).toBe(1);
});

patientScenario("settings that are not understood are told, and count as not made", async (box) => {
  const web = box.declare("web");
  const files = { restart: "sometimes", "stop-signal": "LOUD", "notification-fd": "1" };
  web.installDirectory(STAY, {}, { ...files, "restart-delay": "soon", "stop-timeout": "-1" });
  const sysmgr = await box.start();
  const pid = await web.aged(1000);
  await web.is("up");
  for (const file of [...Object.keys(files), "restart-delay", "stop-timeout"]) {
    await sysmgr.says(new RegExp(`web: ${file}: not understood`));
  }
  kill(pid, "SIGKILL");
  await web.runningAfter(pid);
  expect(sysmgr.count(/not understood/)).toBe(5);
});

// -------------------------------------------------------------- control-group

patientScenario(
  "a member of control-group can command that service, and nothing else",
  async (box) => {
    const [web, db] = [box.declare("web"), box.service("db")];
    web.installDirectory(STAY, {}, { "control-group": "4711\n" });
    await box.start();
    const [pid, other] = [await web.running(), await db.running()];
    const member = ["setpriv", "--reuid=54321", "--regid=54321", "--groups=4711", "--"];
    const tries = async (script: string, ...wrapper: string[]) =>
      (await box.run(["sh", "-c", script], { wrapper })).code;
    expect(await tries(`: >${web.file("control/restart")}`, ...member)).toBe(0);
    const next = await web.runningAfter(pid);
    for (const forbidden of [
      `: >${web.file("lock")}`,
      `: >${web.file("status")}`,
      `rm -f ${web.file("pid")}`,
      `: >${db.file("control/down")}`,
      `: >${box.rundir}/.control/shutdown`,
    ]) {
      expect(await tries(forbidden, ...member)).not.toBe(0);
    }
    const stranger = ["setpriv", "--reuid=54322", "--regid=54322", "--clear-groups", "--"];
    expect(await tries(`: >${web.file("control/down")}`, ...stranger)).not.toBe(0);
    const code = (await box.run(["svctl", "-q", "stop", "web"], { wrapper: member })).code;
    expect(code).toBe(0);
    expect([web.status.state, db.pid, lives(next)]).toEqual(["down", other, false]);
    // Made again, it is delegated again.
    rename(web.directory, `${box.dir}/old`);
    await until(() => exists(web.file("control")), "it is made again");
    await web.is("down");
    expect(await tries(`: >${web.file("control/up")}`, ...member)).toBe(0);
    await web.running();
  },
  have.root && have.setpriv,
);

patientScenario(
  "a member of control-group puts nothing in the way of root's commands",
  async (box) => {
    const web = box.declare("web");
    web.installDirectory(STAY, {}, { "control-group": "4711\n" });
    const sysmgr = await box.start();
    let pid = await web.running();
    const member = ["setpriv", "--reuid=54321", "--regid=54321", "--groups=4711", "--"];
    const control = web.file("control");
    for (const way of ["mkdir -p N/deep .N/deep", "ln -s /etc N", "ln -s N N", "mkfifo N"]) {
      // Before sysmgr could look.
      sysmgr.signal("SIGSTOP");
      const script = ["down", "up"].map((name) => way.replaceAll("N", name)).join("; ");
      const made = await box.run(["sh", "-c", `cd ${control}; ${script}`], { wrapper: member });
      expect(made.code).toBe(0);
      const stopping = box.run(["svctl", "stop", "web"]);
      await Bun.sleep(300);
      sysmgr.signal("SIGCONT");
      expect(await stopping).toMatchObject({ code: 0, err: "" });
      await web.is("down");
      expect((await box.run(["svctl", "start", "web"])).code).toBe(0);
      pid = await web.runningAfter(pid);
      await until(() => web.box.length === 0, "the drop box is empty");
    }
  },
  have.root && have.setpriv,
);
