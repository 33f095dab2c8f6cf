/** sysmgr as a command: options, environment, exit status, and what it says. */
import { expect } from "bun:test";
import { link, read, write } from "../lib/files.ts";
import { lives } from "../lib/processes.ts";
import { BIN } from "../lib/sandbox.ts";
import { scenario } from "../lib/scenario.ts";

for (const option of ["-h", "--help"]) {
  scenario(`${option} prints the usage on stdout and exits 0`, async (box) => {
    const { code, out, err } = await box.run(["sysmgr", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("usage: sysmgr [-hVqv] [-d SYSDIR] [-r RUNDIR]");
  });
}

for (const option of ["-V", "--version"]) {
  scenario(`${option} prints the version on stdout and exits 0`, async (box) => {
    const { code, out, err } = await box.run(["sysmgr", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^sysmgr \d+\.\d+\.\d+\n$/);
  });
}

for (const args of [
  ["-x"],
  ["--nosuch"],
  ["-d"],
  ["-r"],
  ["-d", ""],
  ["--nofile"],
  ["--nofile", "many"],
  ["--nofile", "2"],
  ["--nofile", "1e3"],
  ["--nofile=-1"],
  ["nosuchprogram"],
  ["-q", "operand"],
  ["operand\n\x1b[31m"],
]) {
  scenario(`${JSON.stringify(args)} is wrong usage: one line on stderr, exit 2`, async (box) => {
    const { code, out, err } = await box.run(["sysmgr", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may reach a terminal
    expect(err).toMatch(/^sysmgr: [^\x00-\x1f]+\n$/);
  });
}

scenario("SYSDIR and RUNDIR come from the environment, but options win", async (box) => {
  const web = box.service("web");
  await box.start({ env: { SYSDIR: "/nonexistent", RUNDIR: "/nonexistent" } });
  await web.running();
});

scenario("without options the environment says where", async (box) => {
  const web = box.service("web");
  const env = { ...box.environment, SYSDIR: box.sysdir, RUNDIR: box.rundir };
  const child = Bun.spawn([`${BIN}/sysmgr`, "-q"], { env, stdio: ["ignore", "ignore", "ignore"] });
  await web.running();
  expect(read(`${box.rundir}/pid`)).toBe(`${child.pid}\n`);
  child.kill();
  expect(await child.exited).toBe(0);
});

scenario(
  "a second sysmgr on a RUNDIR says so and exits 1; the first does not mind",
  async (box) => {
    const web = box.service("web");
    const sysmgr = await box.start();
    const pid = await web.running();
    const second = await box.run(["sysmgr", "-d", box.sysdir, "-r", box.rundir]);
    expect(second).toEqual({
      code: 1,
      out: "",
      err: `sysmgr: cannot lock ${box.rundir}: another sysmgr works there (pid ${sysmgr.pid})\n`,
    });
    link(box.rundir, `${box.dir}/alias`);
    const third = await box.run(["sysmgr", "-d", box.sysdir, "-r", `${box.dir}/alias`]);
    expect(third.code).toBe(1);
    expect(web.pid).toBe(pid);
    expect(read(`${box.rundir}/pid`)).toBe(`${sysmgr.pid}\n`);
  },
);

scenario("twenty started at once on a RUNDIR: one works, the others say so", async (box) => {
  const web = box.service("web");
  const command = [`${BIN}/sysmgr`, "-d", box.sysdir, "-r", box.rundir];
  const all = Array.from({ length: 20 }, () =>
    Bun.spawn(command, { env: box.environment, stdio: ["ignore", "ignore", "ignore"] }),
  );
  const owner = await web.running().then(() => Number(read(`${box.rundir}/pid`)));
  const [winner, losers] = [all.find((p) => p.pid === owner), all.filter((p) => p.pid !== owner)];
  expect(new Set(await Promise.all(losers.map((p) => p.exited)))).toEqual(new Set([1]));
  expect(web.starts.length).toBe(1);
  winner?.kill();
  expect(await winner?.exited).toBe(0);
});

scenario("sysmgr PROGRAM does what the program's link does", async (box) => {
  for (const program of ["svctl", "sysmgr-depends", "runsyssv"]) {
    const [one, other] = [await box.run([program, "-h"]), await box.run(["sysmgr", program, "-h"])];
    expect(one).toMatchObject({ code: 0, err: "" });
    expect(one.out).toStartWith(`usage: ${program} `);
    expect(other).toEqual(one);
  }
});

scenario("a link of any other name is sysmgr", async (box) => {
  link(`${BIN}/sysmgr`, `${box.dir}/init`);
  const { code, out } = await box.run([`${box.dir}/init`, "-V"]);
  expect({ code, out: out.split(" ")[0] }).toEqual({ code: 0, out: "sysmgr" });
});

scenario("its messages are one line per event", async (box) => {
  const web = box.declare("web");
  web.installDirectory("exit 7", {}, { "restart-delay": "3600\n" });
  const sysmgr = await box.start();
  await web.is("backoff");
  await sysmgr.stop();
  const age = String.raw`\d+(\.\d)? m?s`;
  const lines = sysmgr.messages.split("\n");
  expect(lines).toEqual([
    expect.stringMatching(/^sysmgr: web: started, pid \d+$/),
    expect.stringMatching(
      RegExp(`^sysmgr: web: exited with 7 after ${age}; next start in 60 min$`),
    ),
    "sysmgr: SIGTERM: stopping 0 services",
    expect.stringMatching(RegExp(`^sysmgr: all stopped after ${age}$`)),
    "",
  ]);
});

scenario("-q prints errors only", async (box) => {
  const web = box.service("web");
  const bad = box.declare("bad").install("", 0o644);
  const sysmgr = await box.start({ args: ["-q"] });
  await web.running();
  await bad.is("failed");
  await sysmgr.stop();
  expect(sysmgr.messages).toBe("sysmgr: bad: cannot start: not executable\n");
});

scenario("-v prints every decision", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start({ args: ["-v"] });
  await web.running();
  await web.is("up");
  await web.command("down");
  await web.is("down");
  for (const line of ["web: up", "web: asked to down", "web: stopping"]) {
    await sysmgr.says(new RegExp(`^sysmgr: ${line}$`, "m"));
  }
});

scenario("names in messages are escaped", async (box) => {
  const web = box.declare("a\nb\x1b[31m\\c\x7f").install("", 0o644);
  const sysmgr = await box.start();
  await web.is("failed");
  expect(sysmgr.messages).toContain(
    "sysmgr: a\\x0ab\\x1b[31m\\x5cc\\x7f: cannot start: not executable\n",
  );
});

scenario("SIGALRM scans at once what no event can tell of", async (box) => {
  const web = box.declare("web");
  link(`${box.dir}/elsewhere`, web.entry);
  const sysmgr = await box.start();
  await sysmgr.says(/web: cannot start: dangling link/);
  write(`${box.dir}/elsewhere`, web.script(), 0o755);
  sysmgr.signal("SIGALRM");
  await web.running();
});

scenario("signals that mean nothing to it do nothing", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  for (const signal of [
    "SIGUSR1",
    "SIGWINCH",
    "SIGPIPE",
    "SIGCONT",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGCHLD",
    "SIGURG",
  ] as const) {
    sysmgr.signal(signal);
    await sysmgr.answers();
  }
  expect(sysmgr.ended).toBeFalse();
  expect([web.pid, lives(pid)]).toEqual([pid, true]);
});

for (const closed of ["<&-", ">&- 2>&-", "<&- >&- 2>&-"]) {
  scenario(`it works when it was started with ${closed}`, async (box) => {
    const web = box.service("web");
    const sysmgr = await box.start({ wrapper: ["sh", "-c", `exec "$@" ${closed}`, "sh"] });
    await web.running();
    await web.command("restart");
    await web.running();
    expect(sysmgr.ended).toBeFalse();
  });
}
