/** procmgr: what each action does, with a script and without, and what scripts are given. */
import { expect } from "bun:test";
import { exists, list, read, write } from "../lib/files.ts";
import { caught, environment, kill, lives } from "../lib/processes.ts";
import { ended, type Procmgr, scene } from "../lib/procmgr.ts";
import { until } from "../lib/until.ts";

const STAY = "exec sleep 3600";

/** A program with these lines, whose name is web. */
const web = (...lines: string[]) => ["[prog-web]", ...lines, ""].join("\n");

async function code(p: Procmgr, ...args: string[]): Promise<number> {
  return (await p.run(args)).code;
}

scene("start: the script is the program, and the client does not wait", async (p) => {
  await p.start(web(`cmd-start = ${STAY}`));
  expect(await p.run(["web", "start"])).toEqual({ code: 0, out: "", err: "" });
  const pid = await p.runs("web");
  await until(() => read(`/proc/${pid}/cmdline`) === "sleep\x003600\0", "the script is sleep");
  expect(await code(p, "web", "start")).toBe(1);
  expect(p.pid("web")).toBe(pid);
});

scene("start without a script fails; so do the actions that would start it", async (p) => {
  await p.start(web("cmd-signal = true"));
  for (const action of ["start", "restart", "reload"]) {
    const { code, err } = await p.run(["web", action]);
    expect([action, code, err]).toEqual([action, 111, "procmgr: there is no cmd-start for web\n"]);
  }
});

scene("start: a directory that cannot be entered is told", async (p) => {
  await p.start(web("cwd = /no/such", `cmd-start = ${STAY}`));
  const { code, err } = await p.run(["web", "start"]);
  expect([code, err]).toEqual([
    111,
    expect.stringContaining("cannot change directory to /no/such"),
  ]);
  // What has failed to start it may not have ended yet.
  for (let out = "running\n"; out === "running\n"; ) {
    ({ out } = await p.run(["web", "status"]));
    expect(out).toBeOneOf(["running\n", "not running\n"]);
  }
});

scene("status: running and not running, with 0 and 1", async (p) => {
  await p.start(web(`cmd-start = ${STAY}`));
  expect(await p.run(["web", "status"])).toEqual({ code: 1, out: "not running\n", err: "" });
  await code(p, "web", "start");
  expect(await p.run(["web", "status"])).toEqual({ code: 0, out: "running\n", err: "" });
  await code(p, "web", "stop");
  expect(await p.run(["web", "status"])).toEqual({ code: 1, out: "not running\n", err: "" });
});

scene("status, reload, signal: a script's exit status is the client's", async (p) => {
  const scripts = ["status", "reload", "signal"].map(
    (a, i) => `cmd-${a} = echo ${a}; exit ${i + 5}`,
  );
  await p.start(web(`cmd-start = ${STAY}`, ...scripts));
  expect(await p.run(["web", "status"])).toEqual({ code: 5, out: "status\n", err: "" });
  expect(await p.run(["web", "reload"])).toEqual({ code: 6, out: "reload\n", err: "" });
  expect(await p.run(["web", "signal"])).toEqual({ code: 7, out: "signal\n", err: "" });
});

scene("a script that a signal ends is 128 and its number", async (p) => {
  await p.start(web("cmd-signal = kill -9 $$", "cmd-reload = kill -HUP $$"));
  expect([await code(p, "web", "signal"), await code(p, "web", "reload")]).toEqual([137, 129]);
});

scene("signal without a script does nothing, successfully", async (p) => {
  await p.start(web(`cmd-start = ${STAY}`));
  expect(await p.run(["web", "signal", "x"])).toEqual({ code: 0, out: "", err: "" });
  await code(p, "web", "start");
  const pid = await p.runs("web");
  expect(await code(p, "web", "signal")).toBe(0);
  expect(p.pid("web")).toBe(pid);
});

scene("stop: TERM by default; the exit status is the program's", async (p) => {
  await p.start(web('cmd-start = trap "exit 42" TERM; while :; do sleep 0.1; done'));
  await code(p, "web", "start");
  const pid = await p.runs("web");
  await until(() => caught(pid).includes(15), "the trap is set");
  expect(await p.run(["web", "stop"])).toEqual({ code: 42, out: "", err: "" });
  expect(lives(pid)).toBe(false);
});

scene("stop: one that TERM ends is 143, one that does not run is 1", async (p) => {
  await p.start(web(`cmd-start = ${STAY}`));
  await code(p, "web", "start");
  expect(await code(p, "web", "stop")).toBe(143);
  const { code: again, err } = await p.run(["web", "stop"]);
  expect([again, err]).toEqual([1, "procmgr: it does not run\n"]);
});

scene("stop with a script waits for the program, not for the script", async (p) => {
  const trapping = 'trap "exit 9" USR1; while :; do sleep 0.1; done';
  const script = `echo "$PID" >${p.dir}/asked; kill -USR1 $PID; exec sleep ${p.forever}`;
  await p.start(web(`cmd-start = ${trapping}`, `cmd-stop = ${script}`));
  await code(p, "web", "start");
  const pid = await p.runs("web");
  await until(() => caught(pid).includes(10), "the trap is set");
  expect(await code(p, "web", "stop")).toBe(9);
  expect(read(`${p.dir}/asked`)).toBe(`${pid}\n`);
  await p.sleeps();
});

scene("stop with a script that does not stop it waits on", async (p) => {
  await p.start(web(`cmd-start = ${STAY}`, `cmd-stop = echo >${p.dir}/asked`));
  await code(p, "web", "start");
  const pid = await p.runs("web");
  const client = p.begin(["web", "stop"]);
  await until(() => exists(`${p.dir}/asked`), "the script runs");
  kill(pid, "SIGKILL");
  expect(await client.exited).toBe(137);
});

scene("restart by default is stop and start; if nothing runs, start", async (p) => {
  await p.start(
    web(
      `cmd-start = echo start >>${p.dir}/trace; ${STAY}`,
      `cmd-stop = kill -INT $PID; echo stop >>${p.dir}/trace`,
    ),
  );
  expect(await code(p, "web", "restart")).toBe(0);
  const pid = await p.runs("web");
  await until(() => read(`/proc/${pid}/cmdline`)?.startsWith("sleep"), "it sleeps");
  expect(await code(p, "web", "restart")).toBe(0);
  expect(await p.runs("web")).not.toBe(pid);
  expect(lives(pid)).toBe(false);
  await until(() => read(`${p.dir}/trace`)?.split("\n").length === 4, "both have begun");
});

scene("restart with a script: that is the program at once, while the old one runs", async (p) => {
  await p.start(
    web(`cmd-start = ${STAY}`, `cmd-restart = echo "$PID $ACTION" >${p.dir}/seen; ${STAY}`),
  );
  await code(p, "web", "start");
  const old = await p.runs("web");
  expect(await code(p, "web", "restart")).toBe(0);
  const pid = await p.runs("web,2");
  await until(() => read(`${p.dir}/seen`) === `${old} restart\n`, "it has seen the old pid");
  expect([lives(old), lives(pid)]).toEqual([true, true]);
  const { out } = await p.run(["web", "status"]);
  expect(out).toBe("running\n");
  kill(old, "SIGKILL");
  await until(() => !exists(`${p.state}/programs/web`), "the old one is forgotten");
  expect(await code(p, "web", "stop")).toBe(143);
  expect(lives(pid)).toBe(false);
});

scene("restart with a script that cannot begin leaves the old one the program", async (p) => {
  const lines = [`cmd-start = ${STAY}`, "restart-delay = 1", `cmd-restart = ${STAY}`];
  const { process } = await p.start(web(...lines));
  await code(p, "web", "start");
  const pid = await p.runs("web");
  p.configure(web(...lines, "cwd = /no/such"));
  process.kill("SIGHUP");
  await p.says(/reloaded/);
  const { code: failed, err } = await p.run(["web", "restart"]);
  expect([failed, err]).toEqual([111, expect.stringContaining("cannot change directory")]);
  expect(await p.run(["web", "status"])).toMatchObject({ code: 0 });
  await until(() => !exists(`${p.state}/programs/web,2`), "the new service is gone");
  await until(() => read(`${p.state}/run/web/status`)?.includes("wanted=up\n"), "it is kept");
  expect([p.pid("web"), exists(`${p.state}/run/web/lock`)]).toEqual([pid, false]);
  expect(await code(p, "web", "stop")).toBe(143);
});

scene("restart with a script, when nothing runs, finds an empty PID", async (p) => {
  await p.start(web(`cmd-restart = echo "<$PID>" >${p.dir}/seen; ${STAY}`));
  expect(await code(p, "web", "restart")).toBe(0);
  await p.runs("web");
  await until(() => read(`${p.dir}/seen`) === "<>\n", "it has seen no pid");
});

scene("reload by default is restart, with its script if there is one", async (p) => {
  await p.start(
    `${web(`cmd-start = ${STAY}`)}[prog-two]\ncmd-restart = echo "$ACTION" >${p.dir}/seen; ${STAY}\n`,
  );
  await code(p, "web", "start");
  const old = await p.runs("web");
  expect(await code(p, "web", "reload")).toBe(0);
  expect(await p.runs("web")).not.toBe(old);
  expect(lives(old)).toBe(false);
  expect(await code(p, "two", "reload")).toBe(0);
  await until(() => read(`${p.dir}/seen`) === "restart\n", "the script ran");
});

scene("scripts: sh -c, with further arguments after the command", async (p) => {
  await p.start(
    web(
      'cmd-signal = printf "<%s>" "$0" "$@"',
      `cmd-start = printf "<%s>" "$0" "$@" >${p.dir}/args`,
    ),
  );
  const args = ["a b", "", "*", "\xff\n", "-x"];
  const { out } = await p.run(["web", "signal", ...args]);
  expect(out).toBe(Buffer.from(args.map((a) => `<${a}>`).join(""), "utf8").toString("latin1"));
  await code(p, "web", "start", "one", "two");
  await until(() => read(`${p.dir}/args`) === "<one><two>", "start has them, too");
});

scene("scripts: the environment is PATH SHELL PROGNAME ACTION PID and nothing else", async (p) => {
  await p.start(web(`cmd-start = ${STAY}`, `cmd-signal = exec sleep ${p.forever}`));
  await code(p, "web", "start");
  const pid = await p.runs("web");
  await until(() => read(`/proc/${pid}/cmdline`)?.startsWith("sleep"), "it sleeps");
  const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const variables = (action: string, of: string) =>
    [`PATH=${path}`, "SHELL=/bin/sh", "PROGNAME=web", `ACTION=${action}`, `PID=${of}`].sort();
  // PWD is what sh itself adds.
  const seen = (id: number) =>
    environment(id)
      .filter((v) => !v.startsWith("PWD="))
      .sort();
  expect(seen(pid)).toEqual(variables("start", ""));
  const client = p.begin(["web", "signal"]);
  const script = await p.sleeps();
  expect(seen(script)).toEqual(variables("signal", `${pid}`));
  kill(script, "SIGKILL");
  expect(await client.exited).toBe(137);
});

scene(
  "scripts: each has a process group of its own, and nothing but its streams open",
  async (p) => {
    await p.start(web('cmd-signal = echo $$; cut -d" " -f5,6 /proc/$$/stat; ls /proc/$$/fd'));
    const [first, second] = [await p.run(["web", "signal"]), await p.run(["web", "signal"])];
    const [pid, ids] = first.out.split("\n");
    expect(ids).toBe(`${pid} ${pid}`);
    expect(first.out.split("\n").slice(2, -1)).toEqual(["0", "1", "2"]);
    expect(second.out.split("\n")[0]).not.toBe(pid);
  },
);

scene("scripts: cwd and umask are what was configured or given", async (p) => {
  await p.start(
    web(`cwd = ${p.dir}`, "cmd-signal = pwd; umask", `cmd-start = (pwd; umask) >seen`),
    [],
    ["sh", "-c", 'umask 027; exec "$@"', "sh"],
  );
  const { out } = await p.run(["web", "signal"]);
  expect(out).toBe(`${p.dir}\n0027\n`);
  await code(p, "web", "start");
  await until(() => read(`${p.dir}/seen`) === out, "start has the same");
});

scene("scripts run as who was configured, with that group and no other", async (p) => {
  const identity = "id -u; id -g; id -G";
  const text = [
    "default-suid = 65534",
    web(
      `cmd-signal = ${identity}`,
      `cmd-status = ${identity}`,
      `cmd-reload = ${identity}`,
      "default-sgid = 65533",
      "suid-status = none",
      "sgid-reload = 12",
      `cmd-start = (${identity}) >${p.dir}/trace; ${STAY}`,
      "suid-start = none",
    ),
  ].join("\n");
  await p.start(text);
  expect((await p.run(["web", "signal"])).out).toBe("65534\n65533\n65533\n");
  expect((await p.run(["web", "status"])).out).toBe("0\n65533\n65533\n");
  expect((await p.run(["web", "reload"])).out).toBe("65534\n12\n12\n");
  await code(p, "web", "start");
  await until(() => read(`${p.dir}/trace`) === "0\n65533\n65533\n", "start, too");
});

scene("restart-delay: started again that long after its end; not after stop", async (p) => {
  const slow = `[prog-slow]\nrestart-delay = 3600\ncmd-start = ${STAY}\n`;
  const script = `echo $$ $ACTION >>${p.dir}/trace; ${STAY}`;
  await p.start(web("restart-delay = 1", `cmd-start = ${script}`) + slow);
  await code(p, "web", "start");
  const first = await p.runs("web");
  await until(() => read(`${p.dir}/trace`) === `${first} start\n`, "its script has begun");
  const killed = performance.now();
  kill(first, "SIGKILL");
  const second = await until(() => p.pid("web") !== first && p.pid("web"), "it is started again");
  expect(performance.now() - killed).toBeGreaterThan(900);
  await until(() => read(`${p.dir}/trace`) === `${first} start\n${second} start\n`, "twice");
  expect(await code(p, "web", "stop")).toBe(143);
  expect(await code(p, "web", "stop")).toBe(1);
  await code(p, "slow", "start");
  const due = await p.runs("slow");
  kill(due, "SIGKILL");
  await ended(due);
  expect(await p.run(["slow", "status"])).toMatchObject({ code: 1 });
  expect(await code(p, "slow", "stop")).toBe(0);
  expect(read(`${p.state}/run/slow/lock`)).toBe("");
});

scene("a program that is about to be started again is not started twice", async (p) => {
  await p.start(web(`cmd-start = exec sleep ${p.forever}`, "restart-delay = 1"));
  const status = `${p.state}/run/web/status`;
  for (const action of ["start", "restart", "stop"]) {
    await code(p, "web", "start");
    kill(await p.sleeps(), "SIGKILL");
    await until(() => read(status)?.includes("state=backoff\n"), "the next start is due");
    // What it says from the moment when that is begun; and its supervisor goes no further.
    const { supervisor } = p;
    kill(supervisor, "SIGSTOP");
    write(status, read(status)?.replace("state=backoff\n", "state=starting\n") ?? "");
    const client = p.begin(["web", action]);
    await until(() => list(`${p.state}/accepted`).length > 0, "it is asked");
    kill(supervisor, "SIGCONT");
    expect(await client.exited).toBe(0);
    if (action !== "stop") await p.sleeps();
    expect(list(`${p.state}/programs`)).toEqual(["web"]);
    await p.run(["web", "stop"]);
    await p.sleeps(0);
  }
});

scene("restart-delay: none, and every number that is not positive, mean never", async (p) => {
  const program = (name: string, delay: string) =>
    `[prog-${name}]\nrestart-delay = ${delay}\ncmd-start = ${STAY}\n`;
  await p.start(program("none", "none") + program("zero", "0") + program("minus", "-5"));
  for (const name of ["none", "zero", "minus"]) {
    await code(p, name, "start");
    const pid = await p.runs(name);
    kill(pid, "SIGKILL");
    await until(() => /^state=down$/m.test(read(`${p.state}/run/${name}/status`) ?? ""), "down");
    expect(read(`${p.state}/run/${name}/lock`)).toBe("once\n");
  }
});

scene("names of programs are any text", async (p) => {
  const names = [
    "a b",
    "../up",
    "pid",
    ".dot",
    "x/y",
    "%41",
    "web,2",
    "/".repeat(150),
    "x".repeat(255),
    "\xff",
  ];
  await p.start(
    names
      .map((name) => `[prog-${name}]\ncmd-start = ${STAY}\ncmd-signal = printf %s "$PROGNAME"\n`)
      .join(""),
  );
  for (const name of names.slice(0, -1)) {
    expect([name, await code(p, name, "start")]).toEqual([name, 0]);
    expect((await p.run([name, "signal"])).out).toBe(name);
    expect([name, await code(p, name, "stop")]).toEqual([name, 143]);
  }
  expect(list(`${p.state}/programs`)).toHaveLength(names.length);
});
