/** sysmgr-bridge: SERVICE/supervise for those who know it, soundly. */
import { expect } from "bun:test";
import { chmodSync, chownSync, lstatSync, readlinkSync } from "node:fs";
import { BLIND } from "../lib/clients.ts";
import { exists, link, list, makeDirectory, place, read, remove, rename } from "../lib/files.ts";
import {
  DEAF,
  FrontEnd,
  have as haveThem,
  masked,
  original,
  Supervised,
  serviceDirectory,
} from "../lib/frontends.ts";
import { kill, lives, readStat } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

/** runsvdir over services that are made before it begins. */
async function begin(box: Sandbox, make: (dir: string) => void) {
  const dir = `${box.dir}/service`;
  makeDirectory(dir);
  make(dir);
  const runsvdir = FrontEnd.start(box, ["runsvdir", dir]);
  await until(() => exists(`${dir}/.sysmgr/pid`), "it works");
  return { dir, runsvdir };
}

patientScenario("when it dies it comes back", async (box) => {
  const { dir, runsvdir } = await begin(box, (parent) => void serviceDirectory(parent, "web"));
  const web = new Supervised(`${dir}/web`);
  for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
    await web.served(box);
    const bridge = await until(() => runsvdir.bridge, "there is a bridge");
    kill(bridge, signal);
    await until(() => !lives(bridge), "it is dead");
    await until(() => runsvdir.bridge, "there is another");
  }
  await web.served(box);
  const pid = await web.runs();
  await web.tell(box, "d");
  await web.is("down");
  expect(lives(pid)).toBeFalse();
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario("it ends with its supervisor, however that ends", async (box) => {
  const { dir, runsvdir } = await begin(box, (parent) => void serviceDirectory(parent, "web"));
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  const bridge = await until(() => runsvdir.bridge, "there is a bridge");
  await runsvdir.end("SIGKILL");
  await until(() => !lives(bridge), "the bridge ends");
  expect(web.file("sysmgr")).toBeNull();
  const next = FrontEnd.start(box, ["runsvdir", dir]);
  await web.served(box);
  expect(await next.end("SIGHUP")).toBe(111);
  expect(next.messages).toBe("");
});

patientScenario("commands keep their order, however many are written at once", async (box) => {
  const { dir, runsvdir } = await begin(box, (parent) => {
    for (const name of ["ends-up", "ends-down"]) serviceDirectory(parent, name, DEAF);
  });
  const [up, down] = ["ends-up", "ends-down"].map((name) => new Supervised(`${dir}/${name}`));
  if (!up || !down) throw new Error("two services");
  for (const one of [up, down]) {
    await one.served(box);
    await one.runs();
  }
  // The last one is told only when all before it were answered.
  await Promise.all([up.tell(box, `${"ou".repeat(50)}p`), down.tell(box, `${"uo".repeat(50)}p`)]);
  await up.is("run, paused");
  await down.is("run, paused, want down");
  await Promise.all([up.tell(box, "dk"), down.tell(box, "k?!\n")]);
  for (const one of [up, down]) await one.is("down");
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario("what others ask for is told, too", async (box) => {
  const { dir, runsvdir } = await begin(
    box,
    (parent) => void serviceDirectory(parent, "web", DEAF),
  );
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  await web.runs();
  await web.deaf();
  const svctl = (word: string) =>
    box.run(["svctl", "-d", dir, "-r", `${dir}/.sysmgr`, "-n", word, "web"]);
  for (const [word, stat] of [
    ["pause", "run, paused"],
    ["cont", "run"],
    ["term", "run, got TERM"],
    ["once", "run, got TERM, want down"],
    ["kill", "down"],
    ["start", "run"],
  ] as const) {
    expect((await svctl(word)).code).toBe(0);
    await web.is(stat);
  }
  await svctl("kill");
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario("the logger of a service is served in its own directory", async (box) => {
  const log = { "log/run": "#!/bin/sh\nexec cat >/dev/null\n" };
  const make = (parent: string) => void serviceDirectory(parent, "web", undefined, log);
  const { dir, runsvdir } = await begin(box, make);
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  await web.runs();
  const state = `${dir}/.sysmgr/web`;
  // As a scanner tells of it that knows loggers.
  if (!exists(`${state}/log/status`)) {
    makeDirectory(`${state}/log/control`);
    place(`${state}/log/status`, read(`${state}/status`) ?? "");
  }
  const logger = new Supervised(`${web.path}/log`);
  await logger.served(box);
  await logger.is("run");
  expect(logger.file("sysmgr")).toBe(`${dir}/.sysmgr\nweb/log\n`);
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario("finish is told while it runs", async (box) => {
  const gate = `${box.dir}/gate`;
  const finish = `#!/bin/sh\nwhile [ ! -e ${gate} ]; do sleep 0.1; done\n`;
  const make = (parent: string) => void serviceDirectory(parent, "web", undefined, { finish });
  const { dir, runsvdir } = await begin(box, make);
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  const pid = await web.runs();
  await web.tell(box, "d");
  await web.is("finish, want down");
  await until(() => web.flags === "20 pid 0 100 0 2", "so does its status");
  expect([0, pid]).not.toContain(web.pid);
  place(gate, "");
  await web.is("down");
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario(
  "x under a runsvdir: stopped, then started again, unless it is normally down",
  async (box) => {
    const { dir, runsvdir } = await begin(box, (parent) => {
      serviceDirectory(parent, "web");
      serviceDirectory(parent, "idle", undefined, { down: "" });
    });
    const [web, idle] = ["web", "idle"].map((name) => new Supervised(`${dir}/${name}`));
    if (!web || !idle) throw new Error("two services");
    for (const one of [web, idle]) await one.served(box);
    const pid = await web.runs();
    await idle.tell(box, "u");
    const other = await idle.runs();
    await Promise.all([web.tell(box, "x"), idle.tell(box, "x")]);
    await web.runs(pid);
    await until(() => !lives(other) && idle.stat === "down", "the other one is down");
    for (const one of [web, idle]) await one.served(box);
    expect([idle.stat, await web.runs()]).toEqual(["down", web.pid]);
    expect(await runsvdir.end("SIGHUP")).toBe(111);
  },
);

patientScenario(
  "beside sysmgr itself it serves Debian's clients",
  async (box) => {
    const web = box.declare("web").installDirectory();
    box.service("file");
    box.service("bridge", `exec ${BIN}/sysmgr-bridge`);
    await box.start();
    const pid = await web.running();
    const supervised = new Supervised(web.entry);
    await supervised.served(box);
    const sv = async (word: string) =>
      masked(await box.run([original("sv"), "-w", "15", word, web.entry]));
    expect(await sv("stop")).toBe(`0: ok: down: ${web.entry}: Ns, normally up\n`);
    expect(await sv("start")).toBe(`0: ok: run: ${web.entry}: (pid P) Ns\n`);
    expect(await web.runningAfter(pid)).toBe(supervised.pid);
    expect(exists(`${box.sysdir}/bridge/supervise`)).toBeFalse();
  },
  haveThem.runit,
);

// ------------------------------------------------------------ what may change

patientScenario("supervise that is removed is made again", async (box) => {
  const { dir, runsvdir } = await begin(box, (parent) => void serviceDirectory(parent, "web"));
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  const pid = await web.runs();
  rename(`${web.path}/supervise`, `${box.dir}/old`);
  remove(`${box.dir}/old`);
  kill(pid, "SIGKILL");
  await until(() => web.pid !== pid && web.stat === "run", "it is told again");
  await web.served(box);
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario("a service's directory in RUNDIR that is removed is found again", async (box) => {
  const { dir, runsvdir } = await begin(box, (parent) => void serviceDirectory(parent, "web"));
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  await web.runs();
  const state = `${dir}/.sysmgr/web`;
  rename(state, `${box.dir}/old`);
  await until(() => exists(`${state}/status`), "it is made again");
  const svctl = (word: string) =>
    box.run(["svctl", "-d", dir, "-r", `${dir}/.sysmgr`, "-q", word, "web"]);
  await web.served(box);
  for (const [word, stat] of [
    ["pause", "run, paused"],
    ["cont", "run"],
  ] as const) {
    expect((await svctl(word)).code).toBe(0);
    await web.is(stat);
  }
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario("one that was paused when nobody looked is told to be paused", async (box) => {
  const { dir, runsvdir } = await begin(box, (parent) => void serviceDirectory(parent, "web"));
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  const pid = await web.runs();
  const bridge = await until(() => runsvdir.bridge, "there is a bridge");
  kill(bridge, "SIGSTOP");
  const state = `${dir}/.sysmgr/web`;
  rename(state, `${box.dir}/old`);
  await until(() => exists(`${state}/status`), "it is made again");
  await box.run(["svctl", "-d", dir, "-r", `${dir}/.sysmgr`, "-q", "pause", "web"]);
  await until(() => readStat(pid)?.state === "T", "it is paused");
  kill(bridge, "SIGCONT");
  await web.is("run, paused");
  kill(bridge, "SIGKILL");
  await until(() => !lives(bridge), "it is dead");
  await web.served(box);
  expect(web.stat).toBe("run, paused");
  await web.tell(box, "c");
  await web.is("run");
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario("RUNDIR that is removed is found again", async (box) => {
  const { dir, runsvdir } = await begin(box, (parent) => void serviceDirectory(parent, "web"));
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  const pid = await web.runs();
  const bridge = await until(() => runsvdir.bridge, "there is a bridge");
  rename(`${dir}/.sysmgr`, `${box.dir}/old`);
  await until(() => !lives(bridge), "the bridge ends");
  await web.served(box);
  await until(() => runsvdir.bridge, "there is another");
  await web.tell(box, "t");
  await web.runs(pid);
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario(
  "an entry that leads elsewhere is served there from its next start",
  async (box) => {
    const { dir, runsvdir } = await begin(box, (parent) => {
      for (const name of ["one", "two"]) serviceDirectory(box.dir, name);
      link(`${box.dir}/one`, `${parent}/web`);
    });
    const [one, two] = ["one", "two"].map((name) => new Supervised(`${box.dir}/${name}`));
    if (!one || !two) throw new Error("two directories");
    await one.served(box);
    const pid = await one.runs();
    link(`${box.dir}/two`, `${dir}/.next`);
    rename(`${dir}/.next`, `${dir}/web`);
    kill(pid, "SIGKILL");
    await two.served(box);
    await two.runs(pid);
    expect(one.file("sysmgr")).toBeNull();
    expect(await runsvdir.end("SIGHUP")).toBe(111);
  },
);

// ------------------------------------------------------------------- security

patientScenario("links in supervise/ are replaced, not followed", async (box) => {
  const victim = `${box.dir}/victim`;
  place(victim, "precious");
  const names = ["pid", "stat", "status", "sysmgr", "pid.new", "stat.new", "status.new"];
  const { dir, runsvdir } = await begin(box, (parent) => {
    makeDirectory(`${serviceDirectory(parent, "web")}/supervise`);
    for (const name of names) link(victim, `${parent}/web/supervise/${name}`);
  });
  const web = new Supervised(`${dir}/web`);
  await web.served(box);
  await web.runs();
  for (const name of ["pid", "stat", "status", "sysmgr"]) {
    expect(lstatSync(`${web.path}/supervise/${name}`).isFile()).toBeTrue();
  }
  expect(read(victim)).toBe("precious");
  expect(await runsvdir.end("SIGHUP")).toBe(111);
  expect(read(victim)).toBe("precious");
});

for (const name of ["lock", "control", "ok"]) {
  patientScenario(`a link ${name} in supervise/ is refused, once`, async (box) => {
    const victim = `${box.dir}/victim`;
    const { dir, runsvdir } = await begin(box, (parent) => {
      Bun.spawnSync(["mkfifo", victim]);
      makeDirectory(`${serviceDirectory(parent, "web")}/supervise`);
      link(victim, `${parent}/web/supervise/${name}`);
    });
    await until(() => runsvdir.messages.includes("sysmgr-bridge: web: "), "it says so");
    await until(() => exists(`${dir}/.sysmgr/web/pid`), "its service runs all the same");
    const restart = [
      "svctl",
      "-q",
      "-d",
      dir,
      "-r",
      `${dir}/.sysmgr`,
      "-t",
      "20",
      "restart",
      "web",
    ];
    expect(await box.run(restart)).toEqual({ code: 0, out: "", err: "" });
    expect(runsvdir.messages).toMatch(/^sysmgr-bridge: web: [^\n]+\n$/);
    expect(readlinkSync(`${dir}/web/supervise/${name}`)).toBe(victim);
    expect(await runsvdir.end("SIGHUP")).toBe(111);
  });
}

for (const [what, spoil, reason] of [
  [
    "a service directory of somebody else's",
    (path: string) => chownSync(path, 4711, 4711),
    /web: not served: .*belongs to uid 4711/,
  ],
  [
    "a service directory that anybody may write in",
    (path: string) => chmodSync(path, 0o757),
    /web: not served: .*anybody may write/,
  ],
  [
    "a supervise of somebody else's",
    (path: string) => {
      makeDirectory(`${path}/supervise`);
      chownSync(`${path}/supervise`, 4711, 4711);
    },
    /web: supervise: it belongs to uid 4711/,
  ],
  [
    "a supervise that anybody may write in",
    (path: string) => makeDirectory(`${path}/supervise`, 0o777),
    /web: supervise: anybody may write in it/,
  ],
  [
    "a link supervise to a directory of somebody else's",
    (path: string) => {
      makeDirectory(`${path}/../../theirs`);
      chownSync(`${path}/../../theirs`, 4711, 4711);
      link(`${path}/../../theirs`, `${path}/supervise`);
    },
    /web: .*supervise: .*belongs to uid 4711/,
  ],
  [
    "a link supervise into a directory of somebody else's",
    (path: string) => {
      makeDirectory(`${path}/../../theirs/supervise`);
      chownSync(`${path}/../../theirs`, 4711, 4711);
      link(`${path}/../../theirs/supervise`, `${path}/supervise`);
    },
    /web: .*supervise: .*belongs to uid 4711/,
  ],
] as const) {
  patientScenario(
    `${what} is not written to by root, and that is said`,
    async (box) => {
      const { dir, runsvdir } = await begin(box, (parent) => {
        spoil(serviceDirectory(parent, "web"));
        serviceDirectory(parent, "db");
      });
      const db = new Supervised(`${dir}/db`);
      await db.served(box);
      await db.runs();
      await until(() => reason.test(runsvdir.messages), "it is said");
      const web = `${dir}/web/supervise`;
      expect(exists(web) ? list(web) : []).toEqual([]);
      expect(await runsvdir.end("SIGHUP")).toBe(111);
    },
    have.root,
  );
}

patientScenario(
  "where another supervisor is nothing is started beside it, and that is said",
  async (box) => {
    const dir = `${box.dir}/service`;
    const starts = () => read(`${box.dir}/starts`)?.split("\n").length ?? 0;
    const run = `echo >>${box.dir}/starts; exec sleep 3600`;
    const web = new Supervised(serviceDirectory(dir, "web", run));
    const runsv = FrontEnd.start(box, [original("runsv"), web.path]);
    await web.served(box);
    const pid = await web.runs();
    const runsvdir = FrontEnd.start(box, ["runsvdir", dir]);
    const why = "another supervisor has locked its supervise/lock";
    const said = `runsvdir: web: cannot start: ${why}\nsysmgr-bridge: web: ${why}\n`;
    await until(() => runsvdir.messages === said, "it says so");
    expect([web.pid, starts()]).toEqual([pid, 2]);
    expect(await runsv.end("SIGTERM")).toBe(0);
    await until(() => starts() === 3, "then it is started");
    await web.served(box);
    await web.runs(pid);
    expect(await runsvdir.end("SIGHUP")).toBe(111);
    // Perhaps once more, if both found the lock free at the same moment.
    expect([...new Set(runsvdir.messages.split("\n"))].join("\n")).toBe(said);
  },
  haveThem.runit,
);

// ---------------------------------------------------------------------- usage

for (const option of ["-h", "--help"]) {
  scenario(`${option} prints the usage`, async (box) => {
    const { code, out, err } = await box.run(["sysmgr-bridge", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("usage: sysmgr-bridge [-hVx] [-f FORMAT] [-d SYSDIR] [-r RUNDIR]\n");
  });
}

for (const args of [["-f"], ["-f", "s6"], ["more"], ["-q"]]) {
  scenario(`${JSON.stringify(args)} is wrong usage: one line, exit 2`, async (box) => {
    const { code, out, err } = await box.run(["sysmgr-bridge", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^sysmgr-bridge: [^\n]+\n$/);
  });
}

for (const [what, make, reason] of [
  ["no RUNDIR", () => {}, "cannot open RUNDIR: No such file or directory"],
  ["no sysmgr", (path: string) => makeDirectory(path), "no sysmgr works on RUNDIR"],
] as const) {
  scenario(`${what} is one line, exit 1`, async (box) => {
    make(box.rundir);
    const { code, out, err } = await box.run(["sysmgr-bridge"]);
    const text = `sysmgr-bridge: ${reason.replace("RUNDIR", box.rundir)}\n`;
    expect({ code, out, err }).toEqual({ code: 1, out: "", err: text });
  });
}

scenario(
  "without inotify it looks every second",
  async (box) => {
    const dir = `${box.dir}/service`;
    const web = new Supervised(serviceDirectory(dir, "web", DEAF));
    const runsvdir = FrontEnd.start(box, ["/usr/bin/env", ...BLIND, `${BIN}/runsvdir`, dir]);
    await web.served(box);
    await web.runs();
    for (const [letters, stat] of [
      ["p", "run, paused"],
      ["c", "run"],
      ["o", "run, want down"],
      ["k", "down"],
      ["u", "run"],
    ] as const) {
      await web.tell(box, letters);
      await web.is(stat);
    }
    await web.tell(box, "dk");
    await web.is("down");
    expect(await runsvdir.end("SIGHUP")).toBe(111);
  },
  have.userns,
);
