/** svctl top on a terminal, and printed once. */
import { expect } from "bun:test";
import { append, list, makeDirectory, read, remove, rename, write } from "../lib/files.ts";
import { children, kill, lives } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { patientScenario } from "../lib/scenario.ts";
import { STAY, trapping } from "../lib/service.ts";
import { OnTerminal, type Size } from "../lib/terminal.ts";
import { until } from "../lib/until.ts";

const LEFT = "^[[?25h^[[?1049l";

async function top(box: Sandbox, env: Record<string, string> = {}, size?: Size) {
  const terminal = new OnTerminal(box, [`${BIN}/svctl`, "top"], env, size);
  await terminal.says(/NAME +STATE/);
  return terminal;
}

/** Types a key, and waits for what it brings. */
async function press(terminal: OnTerminal, keys: string, pattern: RegExp): Promise<void> {
  const before = terminal.said.length;
  terminal.type(keys);
  await terminal.says(pattern, before);
}

patientScenario("keys stop, start, restart and signal the chosen service", async (box) => {
  const [db, web] = [box.service("db"), box.service("web", trapping("HUP"))];
  await box.start();
  const first = await web.running();
  await web.traced("ready");
  const pid = await db.running();
  const terminal = await top(box);
  await terminal.says(/web +\S* ?(up|starting)/);
  await press(terminal, "j", /7mweb/);
  await press(terminal, "x", /signal for web: _/);
  terminal.type("hup\r");
  await web.traced("HUP");
  await press(terminal, "r", /restart web\? \(y\/n\)/);
  terminal.type("y");
  const second = await web.runningAfter(first);
  await press(terminal, "d", /stop web\? \(y\/n\)/);
  await press(terminal, "y", /web +\S* ?down/);
  expect([web.status.state, lives(second)]).toEqual(["down", false]);
  terminal.type("s");
  await web.runningAfter(second);
  terminal.type("q");
  expect(await terminal.child.exited).toBe(0);
  // What was written last may arrive after the exit.
  await until(() => terminal.said.endsWith(LEFT), "the terminal is as it was");
  expect(db.pid).toBe(pid);
});

patientScenario("changes are shown as they happen, and the filter as it is typed", async (box) => {
  box.service("web");
  await box.start();
  const terminal = await top(box);
  await terminal.says(/1 service/);
  const late = box.service("late", "exit 7");
  await late.is("backoff");
  await terminal.says(/late +\S* ?backoff/);
  await terminal.says(/2 services/);
  await press(terminal, "/", /show only: _/);
  await press(terminal, "back", /show only: back_/);
  await press(terminal, "\r", /by name, only back/);
  await press(terminal, "\x1b", /by name {2}s start/);
  await press(terminal, "?", /restart it/);
  terminal.type(" \x03");
  expect(await terminal.child.exited).toBe(0);
});

for (const [signal, code] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
  ["SIGHUP", 129],
  ["SIGQUIT", 131],
  ["SIGABRT", 134],
  ["SIGUSR1", 138],
] as const) {
  patientScenario(`${signal} leaves the terminal as it was`, async (box) => {
    box.service("web");
    await box.start();
    const script = `trap : INT QUIT HUP USR1; stty -g; "$@"; echo "code=$?"; stty -g`;
    const words = ["sh", "-c", script, "sh"];
    const terminal = new OnTerminal(box, [...words, `${BIN}/svctl`, "top"]);
    await terminal.says(/web +/);
    const pid = childOf(terminal.child.pid, "svctl");
    kill(pid, signal);
    await terminal.says(/code=\d+/);
    await terminal.child.exited;
    // Whole lines only.
    const modes = () => terminal.said.match(/[0-9a-f]+(?::[0-9a-f]+){20,}(?=\r)/g) ?? [];
    await until(() => modes().length === 2, "both modes are told");
    expect(terminal.said).toContain(LEFT);
    expect(terminal.said).toContain(`code=${code}`);
    expect(new Set(modes()).size).toBe(1);
  });
}

/** The child of a process that is called so. */
function childOf(parent: number, name: string): number {
  const isIt = ({ pid }: { pid: number }) => read(`/proc/${pid}/comm`) === `${name}\n`;
  return children(parent).find(isIt)?.pid ?? 0;
}

patientScenario("it is drawn anew when the size changes, and never wider", async (box) => {
  for (let i = 0; i < 30; i++) box.service(`a-service-with-a-long-name-${i}`);
  await box.start();
  const terminal = await top(box, {}, { cols: 100, rows: 30 });
  const before = terminal.said.length;
  terminal.resize({ cols: 44, rows: 8 });
  const cleared = /\^\[\[H\^\[\[J/;
  await terminal.says(cleared, before);
  await press(terminal, "G", /7ma-serv.*~/);
  const drawn = terminal.said.slice(before).split(cleared).at(-1) ?? "";
  const lines = drawn
    .split(/\^\[\[\d+;1H/)
    .map((line) => Bun.stripANSI(line.replaceAll("^[", "\x1b")));
  expect(lines.filter((line) => Bun.stringWidth(line) > 44)).toEqual([]);
  expect(drawn).not.toMatch(/\[(9|[1-9]\d);1H/);
  terminal.type("q");
  expect(await terminal.child.exited).toBe(0);
});

patientScenario("NO_COLOR has none, and names do nothing to the terminal", async (box) => {
  box.service("evil\x1b]0;title\x07\xc2\x9b31m");
  box.service("web");
  await box.start();
  const plain = await top(box, { NO_COLOR: "1" }, { cols: 132, rows: 24 });
  await plain.says(/evil\\x1b\]0;title\\x07\\xc2\\x9b31m/);
  plain.type("q");
  await plain.child.exited;
  expect(plain.said).not.toMatch(/\[3\dm|\^\[\]|\x9b/);
  const coloured = await top(box);
  await coloured.says(/\[3[23]m/);
  coloured.type("q");
  expect(await coloured.child.exited).toBe(0);
});

patientScenario("a log is followed, and left again", async (box) => {
  const [web, log] = [box.declare("web"), box.declare("web/log")];
  const body = "echo first; trap 'echo on HUP' HUP; trace ready; while :; do sleep 0.1; done";
  web.installLogged(body, log, `mkdir -p ${box.dir}/kept; exec ${BIN}/svlogd -t ${box.dir}/kept`);
  await box.start();
  await web.traced("ready");
  await until(() => read(`${box.dir}/kept/current`)?.includes("first"), "it is logged");
  const terminal = await top(box);
  await press(terminal, "l", /log of web/);
  await terminal.says(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} first/);
  kill(await web.running(), "SIGHUP");
  await terminal.says(/on HUP/);
  await press(terminal, "q", /NAME +STATE/);
  terminal.type("q");
  expect(await terminal.child.exited).toBe(0);
});

patientScenario(
  "ctrl-Z gives the shell its terminal back, fg goes on",
  async (box) => {
    box.service("web");
    await box.start();
    const shell = new OnTerminal(box, ["bash", "--norc", "-i"]);
    await shell.says(/\$ /);
    shell.type(`${BIN}/svctl top\n`);
    await shell.says(/NAME +STATE/);
    shell.type("\x1a");
    await shell.says(/Stopped/);
    shell.type("echo shell$((1+1))\n");
    await shell.says(/shell2/);
    const before = shell.said.length;
    shell.type("fg\n");
    await shell.says(/NAME +STATE/, before);
    shell.type("q");
    await shell.says(/\[\?1049l/, before);
    shell.type("echo code=$?\n");
    await shell.says(/code=0/);
    shell.type("exit\n");
    await shell.child.exited;
  },
  Bun.which("bash") !== null,
);

patientScenario("it outlives sysmgr, and shows the next one", async (box) => {
  box.service("web");
  const first = await box.start();
  const terminal = await top(box);
  await terminal.says(new RegExp(`sysmgr ${first.pid} .*1 service,`));
  first.signal("SIGTERM");
  await first.exited();
  await terminal.says(/no sysmgr {2}0 services/);
  const next = await box.start();
  await terminal.says(new RegExp(`sysmgr ${next.pid} .*1 service,`));
  terminal.type("q");
  expect(await terminal.child.exited).toBe(0);
});

patientScenario("it ends when the terminal is hung up", async (box) => {
  box.service("web");
  await box.start();
  const terminal = await top(box);
  terminal.child.terminal?.close();
  await until(() => terminal.child.exitCode !== null || terminal.child.signalCode, "it ends");
});

// ----------------------------------------------------------------------- once

patientScenario("where there is no terminal the table is printed once", async (box) => {
  const web = box.service("web", `sleep 3600 & ${STAY}`);
  box.service("flaky", "exit 3");
  await box.start();
  const pid = await web.running();
  await until(() => web.status.state === "up", "it is up");
  // The loader of each has a library open for a moment.
  const bare = () =>
    [pid, ...children(pid).map((p) => p.pid)].every(
      (p) => read(`/proc/${p}/comm`) === "sleep\n" && list(`/proc/${p}/fd`).length === 3,
    );
  await until(bare, "both sleep");
  const { code, out } = await box.run(["svctl", "top"]);
  const [title, ...rows] = out.split("\n").slice(0, -1);
  expect([code, title?.split(/ +/).slice(0, 4).join(" ")]).toEqual([0, "NAME STATE PID AGE"]);
  // The two sleeps are one session.
  expect(rows.map((r) => r.split(/ +/)[0])).toEqual(["flaky", "web"]);
  const [, state, shownPid, , restarts, , memory, threads, descriptors] =
    rows[1]?.split(/ +/) ?? [];
  expect([state, shownPid, restarts, threads]).toEqual(["up", String(pid), "0", "2"]);
  expect(memory).toMatch(/^\d+(\.\d)?[KM]$/);
  expect(Number(descriptors)).toBe(6);
});

patientScenario("it is sorted, filtered, and as wide as COLUMNS says", async (box) => {
  for (const name of ["a", "b", "c"]) box.service(name);
  await box.start();
  for (const name of ["a", "b", "c"])
    await until(() => list(`${box.rundir}/${name}`).includes("pid"), name);
  await box.run(["svctl", "stop", "b"]);
  const rows = async (...args: string[]) => {
    const { out } = await box.run(["svctl", "top", "--once", ...args], { env: { COLUMNS: "60" } });
    expect(out.split("\n").every((l) => l.length <= 60)).toBeTrue();
    return out
      .split("\n")
      .slice(1, -1)
      .map((l) => l.split(" ")[0])
      .join("");
  };
  expect(await rows()).toBe("abc");
  expect((await rows("--sort", "state")).at(-1)).toBe("b");
  expect(await rows("--filter", "DOWN")).toBe("b");
  expect(await rows("a", "c")).toBe("ac");
  const wrong = await box.run(["svctl", "top", "--sort", "size"]);
  expect([wrong.code, wrong.out]).toEqual([2, ""]);
  const nobody = await box.run(["svctl", "top", "nosuch"]);
  expect(nobody).toEqual({ code: 1, out: "", err: "svctl: nosuch: no such service\n" });
});

// -------------------------------------------------------------------- hostile

patientScenario("the smallest terminals are drawn on, whatever is shown", async (box) => {
  for (const name of ["web", "\x1b[2J", "\xe2\x80\xae\xff"]) box.service(name, "exit 1");
  await box.start();
  const terminal = await top(box);
  for (const size of [
    { cols: 1, rows: 1 },
    { cols: 2, rows: 300 },
    { cols: 500, rows: 2 },
    { cols: 9, rows: 3 },
  ]) {
    const before = terminal.said.length;
    terminal.resize(size);
    await terminal.says(/\^\[\[H\^\[\[J/, before);
    for (const key of ["j", "/", "w", "\x1b", "h", "h", "l", "G", "q", "x", "\r"])
      terminal.type(key);
    // Only where it is wide enough is there anything to be read.
    terminal.resize({ cols: 80, rows: 24 });
    await terminal.says(/NAME +STATE[^\n]*$/, before);
  }
  terminal.type("q");
  expect(await terminal.child.exited).toBe(0);
  expect(terminal.said).not.toContain("^[[2J");
});

patientScenario("a storm of new sizes is drawn when it is over", async (box) => {
  box.service("web");
  await box.start();
  const terminal = await top(box);
  const before = terminal.said.length;
  for (let i = 0; i < 500; i++) terminal.resize({ cols: 20 + (i % 100), rows: 4 + (i % 30) });
  for (let i = 0; i < 500; i++) kill(terminal.child.pid, "SIGWINCH");
  terminal.resize({ cols: 77, rows: 9 });
  await terminal.says(/\[9;1H.*$/s, before);
  terminal.type("q");
  expect(await terminal.child.exited).toBe(0);
  expect(terminal.said.split("^[[H^[[J").length).toBeLessThan(200);
});

patientScenario("what stands in a log does nothing to the terminal", async (box) => {
  const odd = box.declare("odd").installDirectory(STAY);
  const kept = `${odd.entry}/log/main`;
  makeDirectory(kept);
  write(`${kept}/current`, `${"y".repeat(3_000_000)}\n\x1b[35mred\x9b2J\rback\b\x07\n`);
  await box.start();
  const terminal = await top(box);
  await press(terminal, "l", /yyy~/);
  await terminal.says(/\\x1b\[35mred\\x9b2J\\x0dback\\x08\\x07/);
  append(`${kept}/current`, `\x1b]0;${"z".repeat(600_000)}\nend\n`);
  await terminal.says(/\\x1b\]0;zzz/);
  await terminal.says(/end/);
  await press(terminal, "q", /NAME +STATE/);
  terminal.type("q");
  expect(await terminal.child.exited).toBe(0);
  for (const bytes of ["^[[35m", "^[]", "\x9b", "\x07", "\b"])
    expect(terminal.said).not.toContain(bytes);
});

patientScenario("a status of garbage is no service, and top goes on", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const sysmgr = await box.start();
  await web.running();
  await db.running();
  const terminal = await top(box);
  await terminal.says(/2 services/);
  sysmgr.signal("SIGSTOP");
  for (const garbage of ["\0\xff\n=\n", "state=up\n", "x".repeat(100_000), ""]) {
    const before = terminal.said.length;
    write(`${web.directory}/.garbage`, garbage);
    rename(`${web.directory}/.garbage`, web.file("status"));
    await terminal.says(/1 service,|1 service\b/, before);
    expect(terminal.child.exitCode).toBeNull();
    write(`${web.directory}/.good`, `state=up\nwanted=up\nsince=1.000\nruns=1\n`);
    rename(`${web.directory}/.good`, web.file("status"));
    await terminal.says(/2 services/, before);
  }
  remove(web.file("status"));
  makeDirectory(web.file("status"));
  await terminal.says(/1 service\b/, terminal.said.length - 1);
  terminal.type("q");
  expect(await terminal.child.exited).toBe(0);
  remove(web.file("status"));
  sysmgr.signal("SIGCONT");
});

patientScenario(
  "a terminal that nobody reads does not keep it from ending",
  async (box) => {
    for (let i = 0; i < 300; i++) box.service(`a-service-with-a-long-name-${i}`);
    await box.start();
    // It is script(1) that reads what is written there.
    const reader = Bun.spawn(
      ["script", "-qc", `stty rows 500 cols 200; exec ${BIN}/svctl top`, "/dev/null"],
      {
        env: {
          ...box.environment,
          SYSDIR: box.sysdir,
          RUNDIR: box.rundir,
          TERM: "xterm",
          SHELL: "/bin/sh",
        },
        stdio: ["pipe", "ignore", "ignore"],
      },
    );
    const pid = await until(() => childOf(reader.pid, "svctl"), "svctl runs");
    const watches = () =>
      list(`/proc/${pid}/fdinfo`).some((fd) =>
        read(`/proc/${pid}/fdinfo/${fd}`)?.includes("inotify wd:"),
      );
    await until(watches, "it watches");
    reader.kill("SIGSTOP");
    // Each of these draws the whole screen.
    const full = () => {
      kill(pid, "SIGWINCH");
      return read(`/proc/${pid}/wchan`)?.includes("poll") && read(`/proc/${pid}/syscall`);
    };
    await until(full, "it waits for the terminal");
    kill(pid, "SIGTERM");
    await until(() => !lives(pid), "it ends");
    reader.kill("SIGCONT");
    await reader.exited;
  },
  Bun.which("script") !== null,
);
