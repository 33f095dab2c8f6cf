/** pmtr: its options, its messages, the background, and how it ends. */
import { expect } from "bun:test";
import { chmodSync, statSync } from "node:fs";
import { onTerminal } from "../lib/clients.ts";
import { exists, list, makeDirectory, read, write } from "../lib/files.ts";
import { job, STAYS, scenario } from "../lib/pmtr.ts";
import { carriers, kill, lives, readStat } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { have } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

for (const option of ["-h", "--help"]) {
  scenario(`${option} prints the usage on stdout and exits 0`, async (p) => {
    const { code, out, err } = await p.run([option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("usage: pmtr [-hFItvV] [-c FILE] [-p FILE]\n");
  });
}

for (const option of ["-V", "--version"]) {
  scenario(`${option} prints the version on stdout and exits 0`, async (p) => {
    const { code, out, err } = await p.run([option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^pmtr \d+\.\d+\.\d+\n$/);
  });
}

for (const args of [["-x"], ["-c"], ["web"], ["-p"], ["--eject"]]) {
  scenario(`${JSON.stringify(args)} is wrong usage: one line on stderr, exit 2`, async (p) => {
    const { code, out, err } = await p.run(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^pmtr: [^\n]+ \(pmtr -h for help\)\n$/);
  });
}

scenario("-t: a good file, nothing said, nothing run, exit 0", async (p) => {
  p.edit(job("web", STAYS));
  expect(await p.run(["-t", "-c", p.conf])).toEqual({ code: 0, out: "", err: "" });
  expect(exists(`${p.box.dir}/pmtr`)).toBeFalse();
});

scenario("-t: all errors of a file with their lines, and `parse failed`, exit 1", async (p) => {
  p.edit(job("web", "cmd web", "nice x"), "nonsense\n");
  const { code, out, err } = await p.run(["-t", "-c", "pmtr.conf"], { cwd: p.box.dir });
  expect({ code, out }).toEqual({ code: 1, out: "" });
  const lines = err.split("\n");
  const where = `pmtr: ${p.conf}`;
  expect(lines.slice(0, 3).map((l) => l.split(": expected")[0])).toEqual([
    `${where}:3: cmd`,
    `${where}:4: nice`,
    `${where}:7`,
  ]);
  expect(lines.slice(3)).toEqual(["pmtr: parse failed", ""]);
});

scenario("-t: a file that is not there", async (p) => {
  const { code, err } = await p.run(["-t", "-c", p.conf]);
  const text = `pmtr: cannot read ${p.conf}: No such file or directory\npmtr: parse failed\n`;
  expect({ code, err }).toEqual({ code: 1, err: text });
});

scenario(
  "without -c the file is /etc/pmtr.conf",
  async (p) => {
    const { code, err } = await p.run(["-t"]);
    const text =
      "pmtr: cannot read /etc/pmtr.conf: No such file or directory\npmtr: parse failed\n";
    expect({ code, err }).toEqual({ code: 1, err: text });
  },
  !exists("/etc/pmtr.conf"),
);

scenario("-tvv prints what was parsed", async (p) => {
  p.edit(job("web", "cmd /x   y"));
  const { code, out } = await p.run(["-tvv", "-c", p.conf]);
  expect({ code, out }).toEqual({ code: 0, out: "job {\n  name web\n  cmd /x y\n}\n" });
});

for (const args of [["-F"], []]) {
  scenario(
    `${args[0] ?? "in the background"}: a broken file at the start is told, exit 1`,
    async (p) => {
      p.edit("nonsense\n");
      const { code, err } = await p.run([...args, "-c", p.conf]);
      expect(code).toBe(1);
      expect(err).toMatch(/^pmtr: [^\n]*:1: expected job {[^\n]*\npmtr: parse failed[^\n]*\n$/);
      expect(list(`${p.box.dir}/pmtr`)).toEqual([]);
    },
  );
}

scenario("-vv shows the parsing; messages are lines that begin with pmtr", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start({ args: ["-vv"] });
  await pmtr.says(/^pmtr: parsed: job {; name web; cmd \/bin\/sleep 3600; }$/);
  await pmtr.says(/^pmtr: web: up$/);
  expect(pmtr.messages.split("\n").filter((l) => l !== "" && !l.startsWith("pmtr: "))).toEqual([]);
});

scenario("starts, ends and restarts are told", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start();
  const pid = await p.runs("web");
  await pmtr.says(new RegExp(`^pmtr: web: started, pid ${pid}$`));
  kill(pid, "SIGKILL");
  await pmtr.says(/^pmtr: web: ended by signal KILL after .*; next start in [\d.]+ s$/);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) {
  scenario(`${signal}: all jobs end, exit 0, nothing is left`, async (p) => {
    p.edit(job("web", STAYS), job("db", STAYS));
    const pmtr = await p.start({ args: ["-p", "../pidfile"] });
    const pids = [await p.runs("web"), await p.runs("db")];
    expect(read(`${p.box.dir}/pidfile`)).toBe(`${pmtr.pid}\n`);
    expect(await pmtr.stop(signal)).toBe(0);
    expect(pids.map(lives)).toEqual([false, false]);
    expect([exists(p.place), exists(`${p.box.dir}/pidfile`)]).toEqual([false, false]);
  });
}

scenario("a second TERM makes the end quick", async (p) => {
  const stubborn = p.script("stubborn", "trap '' TERM\n: >\"$0.ready\"\nwhile :; do sleep 1; done");
  p.edit(job("web", `cmd ${stubborn}`));
  const pmtr = await p.start();
  await until(() => exists(`${stubborn}.ready`), "it ignores TERM");
  pmtr.signal("SIGTERM");
  await pmtr.says(/^pmtr: SIGTERM: stopping 1 services$/);
  pmtr.signal("SIGTERM");
  await pmtr.says(/^pmtr: SIGTERM again: KILL in 1 s$/);
  expect(await pmtr.exited()).toBe(0);
});

scenario("`sysmgr pmtr` is the same", async (p) => {
  const link = `${p.box.dir}/sysmgr`;
  Bun.spawnSync(["ln", "-s", `${BIN}/sysmgr`, link]);
  p.edit(job("web", STAYS));
  const pmtr = await p.start({ wrapper: [link], program: "pmtr" });
  await p.runs("web");
  await pmtr.says(/^pmtr: web: started/);
  const { code } = await p.box.run([link, "pmtr", "-t", "-c", p.conf]);
  expect(code).toBe(0);
});

scenario("it can be stopped as soon as it was started", async (p) => {
  p.edit(job("web", STAYS));
  const child = Bun.spawn([`${BIN}/pmtr`, "-F", "-c", p.conf], {
    env: p.environment,
    stdio: ["ignore", "ignore", "ignore"],
  });
  await until(() => exists(`${p.place}/lock`), "it has begun");
  // From the exec on that gives it its runtime, signals wait for it.
  await until(
    () => read(`/proc/${child.pid}/environ`)?.includes("BUN_GC_TIMER_DISABLE"),
    "it is it",
  );
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  await until(() => carriers(p.box.dir).length === 0, "nothing of it runs");
  expect(list(`${p.box.dir}/pmtr`)).toEqual([]);
});

scenario("without -F it goes into the background, once it works", async (p) => {
  p.edit(job("web", STAYS));
  const pidfile = `${p.box.dir}/pidfile`;
  const began = await p.run(["-c", "pmtr.conf", "-p", "pidfile"], { cwd: p.box.dir });
  expect(began).toEqual({ code: 0, out: "", err: "" });
  const pid = Number(read(pidfile));
  expect([lives(pid), readStat(pid)?.session]).toEqual([true, pid]);
  const web = await p.runs("web");
  await until(
    () => Bun.spawnSync(["readlink", `/proc/${web}/cwd`]).stdout.toString() === "/\n",
    "it is in /",
  );
  kill(pid, "SIGTERM");
  await until(() => !lives(pid), "pmtr has ended");
  expect([lives(web), exists(p.place), exists(pidfile)]).toEqual([false, false, false]);
});

scenario("in the background, what it cannot do is told before, exit 1", async (p) => {
  p.edit(job("web", STAYS));
  const { code, err } = await p.run(["-c", p.conf, "-p", "/nonexistent/pidfile"]);
  expect(code).toBe(1);
  expect(err).toMatch(/^pmtr: cannot write \/nonexistent\/pidfile: No such file or directory\n$/);
  expect(carriers(p.box.dir)).toEqual([]);
});

scenario("a second one with that file says so, exit 1", async (p) => {
  p.edit(job("web", STAYS));
  await p.start();
  const { code, err } = await p.run(["-F", "-c", p.conf]);
  expect({ code, err }).toEqual({
    code: 1,
    err: `pmtr: cannot lock ${p.place}: another pmtr works there\n`,
  });
});

scenario("its directory is its own; one that others may write is refused", async (p) => {
  p.edit(job("web", STAYS));
  const pmtr = await p.start();
  expect(statSync(p.place).mode & 0o777).toBe(0o700);
  await pmtr.stop();
  makeDirectory(p.place);
  chmodSync(p.place, 0o777);
  const { code, err } = await p.run(["-F", "-c", p.conf]);
  expect({ code, err }).toEqual({
    code: 1,
    err: `pmtr: cannot use ${p.place}: it is not ours alone\n`,
  });
  Bun.spawnSync(["rmdir", p.place]);
});

scenario("on a terminal, messages are seen there; ctrl-C stops all jobs", async (p) => {
  p.edit(job("web", "cmd /bin/true", "once"), job("bad", "cmd /bin/sleep 3600"));
  const { container: _, ...env } = p.environment;
  const shown = onTerminal(p.box, ["pmtr", "-F", "-c", p.conf], env);
  await p.runs("bad");
  const [pid] = carriers(p.box.dir).filter((c) =>
    read(`/proc/${c}/cmdline`)?.startsWith(`${BIN}/pmtr\0-F\0`),
  );
  await p.job("web").is("down");
  kill(pid ?? 0, "SIGINT");
  const { code, shown: text } = await shown;
  expect(code).toBe(0);
  expect(text).toContain("pmtr: web: started, pid ");
});

/** Writes down what is sent to a socket. */
const LISTENER = `import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
out = open(sys.argv[2], "wb", 0)
while True: out.write(s.recv(65536) + b"\\n")
`;

/** Runs what is appended with a /dev of its own, in which /dev/log leads to the first argument. */
const WITH_LOG = `mount -t tmpfs none /mnt && mkdir /mnt/shm && ln -s "$1" /mnt/log || exit
mount --bind /dev/shm /mnt/shm
for file in null urandom; do : >/mnt/$file && mount --bind /dev/$file /mnt/$file; done
shift; mount --rbind /mnt /dev && exec "$@"`;

scenario(
  "messages go to the system log where one listens",
  async (p) => {
    const [socket, log] = [`${p.box.dir}/log`, `${p.box.dir}/syslog`];
    write(`${p.box.dir}/listen.py`, LISTENER);
    const listener = Bun.spawn(["python3", `${p.box.dir}/listen.py`, socket, log], {
      env: p.environment,
    });
    await until(() => exists(log), "it listens");
    p.edit(job("web", STAYS));
    const wrapper = ["unshare", "-m", "sh", "-c", WITH_LOG, "sh", socket];
    const pidfile = `${p.box.dir}/pidfile`;
    const began = await p.run(["-c", p.conf, "-p", pidfile], { wrapper });
    expect(began).toEqual({ code: 0, out: "", err: "" });
    const [pmtr, web] = [Number(read(pidfile)), await p.runs("web")];
    const text = `web: started, pid ${web}`;
    const head = `<30>[A-Z][a-z]{2} [ \\d]\\d [\\d:]{8} pmtr\\[${pmtr}\\]: `;
    await until(() => new RegExp(`^${head}${text}$`, "m").test(read(log) ?? ""), "it is logged");
    kill(pmtr, "SIGTERM");
    await until(() => !lives(pmtr), "pmtr has ended");
    const last = /pmtr\[\d+\]: all stopped after/;
    await until(() => last.test(read(log) ?? ""), "so is the end");
    listener.kill();
    await listener.exited;
  },
  have.mounts && Bun.which("python3") !== null,
);
