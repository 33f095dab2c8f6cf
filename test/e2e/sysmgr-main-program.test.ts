/** sysmgr as the first program of a container: a main program, essential services, its exit code. */
import { expect } from "bun:test";
import { SHUTDOWN_TERM } from "../../config.ts";
import { quoteWord } from "../../src/bytes.ts";
import { exists, read, write } from "../lib/files.ts";
import { environment, kill, lives, readStat } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have, patientScenario } from "../lib/scenario.ts";
import { STAY, trapping } from "../lib/service.ts";
import { OnTerminal } from "../lib/terminal.ts";
import { until } from "../lib/until.ts";

/** A main program that tells of what happens to it in the same way as a service. */
function mainProgram(box: Sandbox, body: string) {
  const main = box.declare("main");
  write(`${box.dir}/main`, main.script(body), 0o755);
  return { main, args: ["--", `${box.dir}/main`, "-a", "--", "b c"] };
}

patientScenario("the main program's end is the end of all, and its exit code ours", async (box) => {
  const web = box.service("web", trapping("TERM"));
  const { main, args } = mainProgram(
    box,
    `trace args "$#" "$@"; until svctl -q ready web; do sleep 0.1; done; trace ready; exit 7`,
  );
  const env = { PATH: `${BIN}:${process.env.PATH}` };
  expect((await box.run(["sysmgr", ...args], { env })).code).toBe(7);
  expect(main.lines.slice(1)).toEqual(["args 3 -a -- b c", "ready"]);
  expect(web.starts.filter(lives)).toEqual([]);
  expect(exists(`${box.rundir}/pid`)).toBeFalse();
});

patientScenario("one that a signal ends gives 128 and the number", async (box) => {
  const { args } = mainProgram(box, "kill -9 $$");
  expect((await box.run(["sysmgr", ...args])).code).toBe(128 + 9);
});

patientScenario("it is told to end first, then the services", async (box) => {
  const web = box.service(
    "web",
    "trap 'trace term; exit 0' TERM; trace ready; while :; do sleep 0.1; done",
  );
  const { main, args } = mainProgram(
    box,
    `trap 'trace term $(grep -c term ${web.traceFile}); sleep 0.3; trace $(grep -c term ${web.traceFile}); exit 4' TERM
trace ready; while :; do sleep 0.1; done`,
  );
  const sysmgr = await box.start({ args });
  await web.traced("ready");
  await main.traced("ready");
  const began = performance.now();
  sysmgr.signal("SIGTERM");
  expect(await sysmgr.exited()).toBe(4);
  // Then the services are told, whatever it does.
  if (performance.now() - began < SHUTDOWN_TERM)
    expect(main.lines.slice(2)).toEqual(["term 0", "0"]);
  expect(web.lines.at(-1)).toBe("term");
});

patientScenario("one that ignores TERM holds nobody up for long, and is named", async (box) => {
  const web = box.service("web");
  const { main, args } = mainProgram(box, `trap '' TERM; trace ready; ${STAY}`);
  const sysmgr = await box.start({ args });
  await web.running();
  await main.traced("ready");
  sysmgr.signal("SIGTERM");
  expect(await sysmgr.exited()).toBe(128 + 9);
  expect(sysmgr.messages).toContain(`waiting for ${box.dir}/main, web (`);
});

patientScenario("other signals go to it, and mean nothing to sysmgr", async (box) => {
  const names = ["INT", "QUIT", "HUP", "USR1", "USR2", "WINCH"];
  const { main, args } = mainProgram(box, trapping(...names));
  const web = box.service("web");
  const sysmgr = await box.start({ args });
  await main.traced("ready");
  const pid = await web.running();
  for (const name of names) {
    sysmgr.signal(`SIG${name}` as NodeJS.Signals);
    await main.traced(name);
  }
  expect([web.pid, main.starts.map(lives)]).toEqual([pid, [true]]);
  sysmgr.signal("SIGTERM");
  expect(await sysmgr.exited()).toBe(128 + 15);
});

patientScenario(
  "svctl ends it with another exit code, or upgrades sysmgr under it",
  async (box) => {
    const { main, args } = mainProgram(box, `trace ready; ${STAY}`);
    const web = box.service("web");
    const sysmgr = await box.start({ args });
    await main.traced("ready");
    const pid = await web.running();
    expect((await box.run(["svctl", "upgrade"])).code).toBe(0);
    sysmgr.signal("SIGALRM");
    await sysmgr.answers();
    expect([main.starts.map(lives), web.pid]).toEqual([[true], pid]);
    expect((await box.run(["svctl", "shutdown", "9"])).code).toBe(0);
    expect([await sysmgr.exited(), main.starts.map(lives)]).toEqual([9, [false]]);
  },
);

patientScenario("after an upgrade its exit code is ours as before", async (box) => {
  const gate = `${box.dir}/gate`;
  const { main, args } = mainProgram(
    box,
    `trace ready; while [ ! -e ${gate} ]; do sleep 0.1; done; exit 5`,
  );
  const sysmgr = await box.start({ args });
  await main.traced("ready");
  expect((await box.run(["svctl", "upgrade"])).code).toBe(0);
  write(gate, "");
  expect(await sysmgr.exited()).toBe(5);
  expect(main.starts.length).toBe(1);
});

for (const [name, code] of [
  ["/nonexistent/program", 127],
  ["no-such-program", 127],
  ["/etc/passwd", 126],
] as const) {
  patientScenario(`a main program that cannot be run: ${name}, ${code}`, async (box) => {
    const outcome = await box.run(["sysmgr", "--", name]);
    expect(outcome.code).toBe(code);
    expect(outcome.err).toMatch(new RegExp(`^sysmgr: cannot run ${name}: `, "m"));
  });
}

patientScenario("without -- a word is no command", async (box) => {
  expect(await box.run(["sysmgr", "true"])).toEqual({
    code: 2,
    out: "",
    err: "sysmgr: unexpected argument true (sysmgr -h for help)\n",
  });
});

// ------------------------------------------------------------------- terminal

/** sysmgr with a main program. */
function command(box: Sandbox, script: string): string[] {
  return [`${BIN}/sysmgr`, "-q", "-d", box.sysdir, "-r", box.rundir, "--", "sh", "-c", script];
}

patientScenario("the terminal is its own: it reads, and ctrl-C is for it alone", async (box) => {
  const web = box.service("web");
  const script = `trap 'echo interrupted' INT; echo ready; read -r line; echo "got $line"; until read -r x; do :; done; exit 3`;
  const terminal = new OnTerminal(box, command(box, script));
  await terminal.says(/ready/);
  const pid = await web.running();
  const main = readStat(childOf(terminal.child.pid, "sh"));
  expect(main?.session).toBe(readStat(terminal.child.pid)?.session);
  terminal.type("hello\n");
  await terminal.says(/got hello/);
  terminal.type("\x03");
  await terminal.says(/interrupted/);
  expect([web.pid, terminal.child.exitCode]).toEqual([pid, null]);
  terminal.type("end\n");
  expect(await terminal.child.exited).toBe(3);
});

for (const [what, redirection] of [
  ["its input is a pipe", ": |"],
  ["nothing of it is open", "exec </dev/null >/dev/null 2>&1;"],
] as const) {
  patientScenario(`it may read from the terminal, too, where ${what}`, async (box) => {
    const main = box.declare("main");
    const script = `read -r line </dev/tty; echo "$line" >${main.traceFile}`;
    const words = command(box, script).map(quoteWord).join(" ");
    const terminal = new OnTerminal(box, ["sh", "-c", `${redirection} ${words}`]);
    terminal.type("hello\n");
    await terminal.child.exited;
    expect(main.lines).toEqual(["hello"]);
  });
}

patientScenario(
  "ctrl-Z stops both for the shell, which goes on with both",
  async (box) => {
    const terminal = new OnTerminal(box, ["bash", "--norc", "-i"], { TERM: "dumb" });
    await terminal.says(/\$ /);
    const words = command(box, "echo ready; while read -r x; do echo got-$x; done; exit 4")
      .map(quoteWord)
      .join(" ");
    terminal.type(`${words}\n`);
    await terminal.says(/\nready/);
    terminal.type("first\n");
    await terminal.says(/got-first/);
    terminal.type("\x1a");
    await terminal.says(/Stopped/);
    terminal.type("echo shell$((1+1))\n");
    await terminal.says(/shell2/);
    // In the background it wants to read, and is stopped again.
    terminal.type("bg\n");
    await terminal.says(/bg\r\n/);
    terminal.type("until jobs | grep -q Stopped; do sleep 0.1; done; echo again$((1+1))\n");
    await terminal.says(/again2/);
    terminal.type("fg\n");
    // Until it is in the foreground the shell may take what is typed.
    await until(() => {
      terminal.type("word\n");
      return /got-word/.test(terminal.said);
    }, "it reads again");
    terminal.type("\x04");
    terminal.type("echo code=$?\n");
    await terminal.says(/code=4/);
    terminal.type("exit\n");
    await terminal.child.exited;
  },
  Bun.which("bash") !== null,
);

/** The child of a process that is called so. */
function childOf(parent: number, name: string): number {
  const pids = (read(`/proc/${parent}/task/${parent}/children`) ?? "").split(" ").map(Number);
  return pids.find((pid) => read(`/proc/${pid}/comm`) === `${name}\n`) ?? 0;
}

// ----------------------------------------------------------- essential, idle

patientScenario("an essential service ends everything, with its exit code", async (box) => {
  const web = box.service("web");
  const db = box.service("db", "trap 'exit 42' USR1; trace ready; while :; do sleep 0.1; done");
  const sysmgr = await box.start({ env: { SYSMGR_ESSENTIAL: "cache  db" } });
  await db.traced("ready");
  const pid = await web.running();
  expect((await box.run(["svctl", "restart", "db"])).code).toBe(0);
  await db.traced("ready", 2);
  // It is not for the services to see.
  expect(environment(pid)).toContain("SYSMGR_SERVICE=web");
  expect(environment(pid).join()).not.toContain("SYSMGR_ESSENTIAL");
  kill(await db.running(), "SIGUSR1");
  expect([await sysmgr.exited(), lives(pid)]).toEqual([42, false]);
  expect(sysmgr.count(/db, which is essential, ended: stopping/)).toBe(1);
});

patientScenario("a directory says so itself; a signal gives 128 and its number", async (box) => {
  const web = box.declare("web").installDirectory(STAY, {}, { essential: "" });
  const sysmgr = await box.start();
  kill(await web.running(), "SIGKILL");
  expect([await sysmgr.exited(), web.starts.length]).toEqual([128 + 9, 1]);
});

patientScenario("an essential service that cannot be started ends everything", async (box) => {
  box.declare("web").install(STAY, 0o644);
  const outcome = await box.run(["sysmgr"], { env: { SYSMGR_ESSENTIAL: "web" } });
  expect([outcome.code, outcome.out]).toEqual([126, ""]);
  expect(outcome.err).toMatch(/^sysmgr: web: cannot start: not executable$/m);
});

patientScenario("--exit-when-idle ends when nothing is left to do", async (box) => {
  box.declare("first").installDirectory("exit 0", {}, { restart: "on-failure" });
  const second = box.declare("second");
  second.installDirectory("sysmgr-depends -f first; trace done", {}, { restart: "never" });
  const env = { PATH: `${BIN}:${process.env.PATH}` };
  const { code } = await box.run(["sysmgr", "--exit-when-idle"], { env });
  expect([code, second.count("done")]).toEqual([0, 1]);
});

patientScenario("--exit-when-idle ends at once where there is nothing to do", async (box) => {
  expect((await box.run(["sysmgr", "--exit-when-idle"])).code).toBe(0);
});

// ---------------------------------------------------------------------- ready

patientScenario("svctl ready is for probes", async (box) => {
  const gate = `${box.dir}/gate`;
  const web = box.declare("web").installDirectory(STAY, { check: `test -e ${gate}` });
  const [once, idle] = [box.service("once", "exit 0"), box.service("idle")];
  await box.start();
  await box.run(["svctl", "once", "once"]);
  await box.run(["svctl", "stop", "idle"]);
  await once.is("down");
  const pid = await web.running();
  expect(await box.run(["svctl", "ready"])).toEqual({
    code: 1,
    out: expect.stringMatching(new RegExp(`^web: UP, pid ${pid}, [^\n]*, starting\n$`)),
    err: "",
  });
  expect((await box.run(["svctl", "-t", "1", "-q", "ready", "web"])).code).toBe(1);
  write(gate, "");
  const done = { code: 0, out: "", err: "" };
  expect(await box.run(["svctl", "-t", "20", "ready"])).toEqual(done);
  expect(await box.run(["svctl", "ready", "web", "once"])).toEqual(done);
  expect((await box.run(["svctl", "ready", "nosuch"])).code).toBe(1);
  expect(idle.status.state).toBe("down");
});

// --------------------------------------------------------------- as a container

patientScenario(
  "as PID 1 it reaps, and takes everything along when the main program ends",
  async (box) => {
    const web = box.service("web", "(setsid sleep 3600 &); trace ready; exec sleep 3600");
    const { args } = mainProgram(
      box,
      `until [ -s ${web.traceFile} ]; do sleep 0.1; done; (setsid sleep 3600 &); exit 6`,
    );
    const wrapper = ["unshare", "-fp", "--mount-proc", "--kill-child"];
    expect((await box.run(["sysmgr", ...args], { wrapper })).code).toBe(6);
  },
  have.pidns,
);
