/** procmgr: its options, its daemon's life, and what a new configuration does. */
import { expect } from "bun:test";
import { chmodSync, chownSync } from "node:fs";
import { BLIND } from "../lib/clients.ts";
import { exists, list, read, write } from "../lib/files.ts";
import { kill, lives } from "../lib/processes.ts";
import { ended, type Procmgr, scene } from "../lib/procmgr.ts";
import { have } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

const stay = (p: Procmgr) => `exec sleep ${p.forever}`;
const web = (p: Procmgr, ...lines: string[]) =>
  `[prog-web]\ncmd-start = ${stay(p)}\n${lines.join("\n")}\n`;

scene("-h and -V, in both forms", async (p) => {
  for (const option of ["-h", "--help"]) {
    const { code, out } = await p.run([option]);
    expect([code, out.split("\n")[0]]).toEqual([0, expect.stringMatching(/^usage: procmgr /)]);
  }
  for (const option of ["-V", "--version"]) {
    expect(await p.run([option])).toEqual({
      code: 0,
      out: expect.stringMatching(/^procmgr \d/),
      err: "",
    });
  }
});

scene("wrong usage is 2", async (p) => {
  p.configure("");
  const lines = [
    [],
    ["web"],
    ["-x"],
    ["-t", "-s"],
    ["-f"],
    ["-t", "web"],
    ["-d", "-L", "LOUD"],
    ["-d", "-A", "-a", "x"],
    ["-d", "web", "start"],
  ];
  for (const line of lines) {
    const { code, out, err } = await p.run(line);
    expect([line, code, out, err.split("\n").length]).toEqual([line, 2, "", 2]);
  }
});

scene("-c, PROCMGR_CONFFILE, and /etc/procmgr.cfg say where the configuration is", async (p) => {
  p.configure("");
  expect((await p.run(["-t"])).out).toBe("not running\n");
  const missing = `${p.dir}/other.cfg`;
  for (const option of [["-c", missing], [`--config=${missing}`]]) {
    expect((await p.run([...option, "-t"])).err).toContain(`cannot read ${missing}`);
  }
  const { err } = await p.box.run(["procmgr", "-t"], { env: { PROCMGR_CONFFILE: "" } });
  if (!exists("/etc/procmgr.cfg")) expect(err).toContain("cannot read /etc/procmgr.cfg");
});

scene(
  "-0 and --check tell every error with its line; a daemon does not start with one",
  async (p) => {
    p.configure(
      "allow-uid = x\n[prog-web]\nrubbish\nuid-start = 99999999999\nunknown = 1\n[other]\n",
    );
    for (const option of ["-0", "--check"]) {
      const { code, err } = await p.run([option]);
      expect(code).toBe(1);
      expect(err.split("\n").slice(0, -1)).toEqual([
        `procmgr: ${p.conf}:2: allow-uid: neither a number nor none: x`,
        `procmgr: ${p.conf}:4: not understood: rubbish`,
        `procmgr: ${p.conf}:5: uid-start: neither a number nor none: 99999999999`,
        `procmgr: ${p.conf}:6: warning: unknown: unknown in [prog-web]`,
        `procmgr: ${p.conf}:7: warning: unknown section [other]`,
        `procmgr: cannot use ${p.conf}`,
      ]);
    }
    expect((await p.run(["-d"])).code).toBe(1);
    expect(exists(p.state)).toBe(false);
    p.configure("[prog-web]\n");
    expect(await p.run(["-0"])).toEqual({ code: 0, out: "", err: "" });
  },
);

scene("-d goes into the background once it works; -t, -r and -s find it there", async (p) => {
  p.configure(web(p));
  const [log, pidfile] = [`${p.dir}/log`, `${p.dir}/pid`];
  expect(await p.run(["-d", "-l", log, "-P", pidfile, "--loglevel", "DEBUG"])).toEqual({
    code: 0,
    out: "",
    err: "",
  });
  const pid = Number(read(pidfile));
  expect(lives(pid)).toBe(true);
  expect(read(p.socket)).toContain(`pid=${pid}\n`);
  expect(await p.run(["-t"])).toMatchObject({ code: 0, out: "running\n" });
  const second = await p.run(["-d"]);
  expect([second.code, second.err]).toEqual([
    1,
    expect.stringContaining("another daemon works there"),
  ]);
  expect(await p.run(["web", "start"])).toMatchObject({ code: 0 });
  write(p.conf, `${read(p.conf)}[prog-new]\n`);
  expect(await p.run(["--reload"])).toEqual({ code: 0, out: "", err: "" });
  await until(() => /reloaded: 2 programs/.test(read(log) ?? ""), "it was reloaded");
  expect(await p.run(["--stop"])).toEqual({ code: 0, out: "", err: "" });
  await ended(pid);
  expect(p.sleeping).toEqual([]);
  expect(await p.run(["--test"])).toMatchObject({ code: 1, out: "not running\n" });
  for (const option of ["-s", "-r"]) {
    const { code, err } = await p.run([option]);
    expect([code, err]).toEqual([1, `procmgr: no daemon works at ${p.socket}\n`]);
  }
  expect(list(p.dir).filter((file) => /^(socket|pid)/.test(file))).toEqual([]);
});

scene("-L: nothing but errors", async (p) => {
  await p.start(web(p), ["-L", "error"]);
  await p.run(["web", "start"]);
  await p.run(["web", "stop"]);
  expect(p.messages.replace(/^.*cannot watch files.*\n/gm, "")).toBe("");
});

scene("autostart: the group of do-autostart, another one, or none", async (p) => {
  const program = (name: string, groups: string) =>
    `[prog-${name}]\nautostart = ${groups}\ncmd-start = ${stay(p)}\n`;
  const text = `do-autostart = boot\n${program("a", "boot")}${program("b", "other, boot")}${program("c", "other")}[prog-d]\ncmd-start = ${stay(p)}\n`;
  const cases: [string[], string[]][] = [
    [[], ["a", "b"]],
    [
      ["-a", "other"],
      ["b", "c"],
    ],
    [["--autostart", "nobody"], []],
    [["-A"], []],
    [["--no-autostart"], []],
  ];
  for (const [args, names] of cases) {
    const { process } = await p.start(text, args);
    for (const name of names) await p.runs(name);
    await p.run(["a", "status"]);
    expect([args, ["a", "b", "c", "d"].filter((name) => p.pid(name))]).toEqual([args, names]);
    process.kill("SIGTERM");
    expect(await process.exited).toBe(0);
  }
});

scene("reload: what runs runs on, what was changed counts from the next action", async (p) => {
  const { process } = await p.start(
    `${web(p, "cmd-signal = exit 3")}[prog-old]\ncmd-start = ${stay(p)}\n`,
  );
  await p.run(["web", "start"]);
  await p.run(["old", "start"]);
  const [pid, old] = [await p.runs("web"), await p.runs("old")];
  p.configure(
    `${web(p, "cmd-signal = exit 4", "cmd-stop = kill -9 $PID")}[prog-new]\ncmd-signal = exit 5\n`,
  );
  process.kill("SIGHUP");
  await p.says(/reloaded: 2 programs/);
  expect([(await p.run(["web", "signal"])).code, (await p.run(["new", "signal"])).code]).toEqual([
    4, 5,
  ]);
  expect([p.pid("web"), p.pid("old")]).toEqual([pid, old]);
  expect((await p.run(["web", "stop"])).code).toBe(137);
  // It lingers: it can be asked for and stopped, and then it is gone.
  expect(await p.run(["old", "status"])).toMatchObject({ code: 0, out: "running\n" });
  expect((await p.run(["old", "restart"])).code).toBe(111);
  expect((await p.run(["old", "stop"])).code).toBe(143);
  await until(() => !exists(`${p.state}/programs/old`), "it is gone");
  const { code, err } = await p.run(["old", "status"]);
  expect([code, err]).toEqual([111, "procmgr: no such program: old\n"]);
});

scene(
  "reload: a program that was removed is not restarted, and comes back with its process",
  async (p) => {
    const text = web(p, "restart-delay = 1");
    const { process } = await p.start(text);
    await p.run(["web", "start"]);
    const pid = await p.runs("web");
    p.configure("");
    process.kill("SIGHUP");
    await p.says(/reloaded: 0 programs/);
    p.configure(text);
    process.kill("SIGHUP");
    await p.says(/reloaded: 1 programs/);
    expect([p.pid("web"), (await p.run(["web", "status"])).code]).toEqual([pid, 0]);
    p.configure("");
    process.kill("SIGHUP");
    await until(() => p.messages.match(/reloaded: 0 programs/g)?.length === 2, "removed again");
    kill(pid, "SIGKILL");
    await until(() => !exists(`${p.state}/programs/web`), "it is gone");
    expect(p.sleeping).toEqual([]);
  },
);

scene("reload: a configuration with an error, or none, changes nothing", async (p) => {
  const { process } = await p.start(web(p, "cmd-signal = exit 3"));
  write(p.conf, "[prog-web\n");
  process.kill("SIGHUP");
  await p.says(/:1: not understood/);
  await p.says(/nothing is changed/);
  p.configure("socket-path = /elsewhere\n[prog-web]\ncmd-signal = exit 4\n");
  process.kill("SIGHUP");
  await p.says(/socket-path stays/);
  p.configure(web(p));
  expect((await p.run(["web", "signal"])).code).toBe(4);
});

scene("the end of the daemon is that of its programs, by their scripts", async (p) => {
  const { process } = await p.start(
    web(p, `cmd-stop = echo "$PID $ACTION" >${p.dir}/stopped; kill $PID`),
  );
  await p.run(["web", "start"]);
  const pid = await p.runs("web");
  process.kill("SIGTERM");
  expect(await process.exited).toBe(0);
  expect([lives(pid), read(`${p.dir}/stopped`)]).toEqual([false, `${pid} stop\n`]);
  expect(list(p.dir).filter((file) => file.startsWith("socket"))).toEqual([]);
});

scene("a supervisor that is killed when all is to end leaves nothing running", async (p) => {
  const { process } = await p.start(web(p, "cmd-stop = trap '' TERM; sleep 0.3; kill -9 $PID"));
  await p.run(["web", "start"]);
  const { supervisor } = p;
  process.kill("SIGTERM");
  await p.says(/stopping 1 services/);
  kill(supervisor, "SIGKILL");
  expect(await process.exited).toBe(0);
  expect(p.sleeping).toEqual([]);
});

scene("a daemon that is killed takes nothing with it; the next one goes on", async (p) => {
  const { process } = await p.start(
    `${web(p)}[prog-two]\ncmd-start = ${stay(p)}\ncmd-restart = ${stay(p)}\n`,
  );
  await p.run(["web", "start"]);
  await p.run(["two", "start"]);
  const first = await p.runs("two");
  await p.run(["two", "restart"]);
  const [pid, second] = [await p.runs("web"), await p.runs("two,2")];
  process.kill("SIGKILL");
  await process.exited;
  const supervisor = p.supervisor;
  await p.start();
  expect([p.supervisor, p.pid("web"), p.pid("two"), p.pid("two,2")]).toEqual([
    supervisor,
    pid,
    first,
    second,
  ]);
  expect((await p.run(["two", "stop"])).code).toBe(143);
  expect([lives(first), lives(second)]).toEqual([true, false]);
  expect((await p.run(["web", "stop"])).code).toBe(143);
});

scene("a supervisor that is killed takes nothing with it; another one goes on", async (p) => {
  await p.start(web(p));
  await p.run(["web", "start"]);
  const [pid, supervisor] = [await p.runs("web"), p.supervisor];
  kill(supervisor, "SIGKILL");
  await until(() => p.supervisor !== supervisor && p.supervisor, "there is another one");
  expect(await p.run(["web", "status"])).toMatchObject({ code: 0 });
  expect(p.pid("web")).toBe(pid);
  const { code, err } = await p.run(["web", "stop"]);
  expect([code, err]).toEqual([0, "procmgr: it has ended; the exit status is not known\n"]);
  expect((await p.run(["web", "start"])).code).toBe(0);
});

scene("a supervisor that is killed while a start is asked for starts it later, once", async (p) => {
  await p.start(web(p));
  kill(p.supervisor, "SIGKILL");
  expect((await p.run(["web", "start"])).code).toBe(0);
  await p.sleeps();
  expect(p.sleeping).toEqual([await p.runs("web")]);
});

scene("it works where sysmgr NAME stands for a link", async (p) => {
  p.configure(web(p));
  const run = (...args: string[]) =>
    p.box.run(["sysmgr", "procmgr", ...args], { env: p.environment });
  expect((await run("-d")).code).toBe(0);
  expect((await run("web", "status")).out).toBe("not running\n");
  expect((await run("-s")).code).toBe(0);
});

scene(
  "root runs nothing from a configuration that others may write",
  async (p) => {
    p.configure(web(p));
    chmodSync(p.conf, 0o666);
    const told = (why: string) => `procmgr: cannot read ${p.conf}: insecure: ${why}\n`;
    expect(await p.run(["-d"])).toEqual({ code: 1, out: "", err: told("anybody may write it") });
    chmodSync(p.conf, 0o644);
    chownSync(p.conf, 65_534, 0);
    expect(await p.run(["-d"])).toEqual({ code: 1, out: "", err: told("it belongs to uid 65534") });
  },
  have.root,
);

scene("arguments that are too long are refused by the client", async (p) => {
  await p.start(web(p, 'cmd-signal = printf %s "$0" | wc -c'));
  expect((await p.run(["web", "signal", "x".repeat(100_000)])).out.trim()).toBe("100000");
  // Every newline is four bytes.
  const lines = Array.from({ length: 4 }, () => "\n".repeat(100_000));
  const { code, err } = await p.run(["web", "signal", ...lines]);
  expect([code, err]).toEqual([111, "procmgr: the arguments are too long\n"]);
  expect(list(p.spool)).toEqual([]);
});

scene(
  "without inotify it works as well, for daemon and client",
  async (p) => {
    await p.start(web(p, "cmd-signal = cat; exit 3"), [], BLIND);
    await p.says(/cannot watch files/);
    const wrapper = BLIND;
    expect((await p.run(["web", "start"], { wrapper })).code).toBe(0);
    expect(await p.run(["web", "signal"], { wrapper, input: "in" })).toEqual({
      code: 3,
      out: "in",
      err: "",
    });
    expect((await p.run(["web", "stop"])).code).toBe(143);
  },
  have.userns && have.root,
);

scene(
  "whichever of the two is killed while it is asked, no program runs twice, and nobody hangs",
  async (p) => {
    let daemon = await p.start(web(p));
    for (const [i, action] of ["start", "restart", "stop", "start", "restart", "stop"].entries()) {
      const client = p.begin(["web", action]);
      await until(() => list(p.spool).length > 0 || client.exitCode !== null, "it is asked");
      if (i % 2 === 0) kill(p.supervisor, "SIGKILL");
      else {
        daemon.process.kill("SIGKILL");
        await daemon.process.exited;
        daemon = await p.start();
      }
      expect([0, 1, 111, 143]).toContain(await client.exited);
      expect(p.sleeping.length).toBeLessThan(2);
    }
    // An order that was given up may still be carried out.
    for (let agree = false; !agree; ) {
      const { code } = await p.run(["web", "status"]);
      agree = p.sleeping.length === (code === 0 ? 1 : 0);
    }
    await until(() => list(p.spool).length === 0, "no request is left");
  },
);
