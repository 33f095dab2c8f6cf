/** runsvdir: a directory of services, as runit has it. */
import { expect } from "bun:test";
import { chownSync, readlinkSync } from "node:fs";
import { exists, link, list, makeDirectory, place, read, remove, rename } from "../lib/files.ts";
import {
  FrontEnd,
  have,
  original,
  printsUsage,
  Supervised,
  serviceDirectory,
} from "../lib/frontends.ts";
import { environmentWith, kill, lives } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have as haveAll, patientScenario, scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";

function directory(box: Sandbox, name = "service"): string {
  const path = `${box.dir}/${name}`;
  makeDirectory(path);
  return path;
}

patientScenario("TERM: exit 0, the services live on; the next one takes them over", async (box) => {
  const dir = directory(box);
  const web = new Supervised(serviceDirectory(dir, "web"));
  const first = FrontEnd.start(box, ["runsvdir", "-P", dir]);
  await web.served(box);
  const pid = await web.runs();
  expect(await first.end("SIGTERM")).toBe(0);
  expect([lives(pid), exists(`${dir}/.sysmgr/web/status`)]).toEqual([true, true]);
  await until(() => web.file("sysmgr") === null, "nobody serves it");
  const second = FrontEnd.start(box, ["runsvdir", dir]);
  await web.served(box);
  expect(await web.runs()).toBe(pid);
  kill(pid, "SIGKILL");
  await web.runs(pid);
  expect(await second.end("SIGHUP")).toBe(111);
  expect(first.messages + second.messages).toBe("");
});

patientScenario("HUP: all services are stopped, exit 111", async (box) => {
  const dir = directory(box);
  const all = ["a", "b", "c"].map((name) => new Supervised(serviceDirectory(dir, name)));
  const runsvdir = FrontEnd.start(box, ["runsvdir", dir]);
  const pids: number[] = [];
  for (const one of all) pids.push(await one.runs());
  expect(await runsvdir.end("SIGHUP")).toBe(111);
  expect(pids.filter(lives)).toEqual([]);
  await until(() => all.every((one) => one.stat === "down"), "all are told to be down");
  expect(list(`${dir}/.sysmgr`)).toEqual([]);
});

patientScenario("when it is killed the next one takes all over", async (box) => {
  const dir = directory(box);
  const web = new Supervised(serviceDirectory(dir, "web"));
  const first = FrontEnd.start(box, ["runsvdir", dir]);
  const pid = await web.runs();
  expect(await first.end("SIGKILL")).toBe("SIGKILL");
  const second = FrontEnd.start(box, ["runsvdir", dir]);
  await web.served(box);
  expect(await web.runs()).toBe(pid);
  expect(await second.end("SIGHUP")).toBe(111);
});

patientScenario("files and hidden directories are no services; new ones are met", async (box) => {
  const dir = directory(box);
  place(`${dir}/file`, `#!/bin/sh\ntouch ${box.dir}/ran\n`, 0o755);
  serviceDirectory(dir, ".hidden", `touch ${box.dir}/ran`);
  serviceDirectory(box.dir, "elsewhere");
  link(`${box.dir}/elsewhere`, `${dir}/linked`);
  const runsvdir = FrontEnd.start(box, ["runsvdir", dir]);
  const linked = new Supervised(`${dir}/linked`);
  await linked.runs();
  serviceDirectory(box.dir, "new");
  rename(`${box.dir}/new`, `${dir}/new`);
  const fresh = new Supervised(`${dir}/new`);
  const pid = await fresh.runs();
  const names = list(`${dir}/.sysmgr`).filter((name) => !name.startsWith("."));
  expect(names.sort()).toEqual(["linked", "new", "pid"]);
  rename(`${dir}/new`, `${box.dir}/old`);
  await until(() => !lives(pid), "what was removed is stopped");
  expect(exists(`${box.dir}/ran`)).toBeFalse();
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario("nested ones do not meet: what they inherit is not read", async (box) => {
  const [outer, inner] = [directory(box, "outer"), directory(box, "inner")];
  serviceDirectory(outer, "inner", `exec ${import.meta.dir}/../../build/bin/runsvdir ${inner}`);
  const web = new Supervised(serviceDirectory(inner, "web"));
  const env = { RUNDIR: "/nonexistent", SYSDIR: "/nonexistent" };
  const runsvdir = FrontEnd.start(box, ["runsvdir", outer], { env });
  const pid = await web.runs();
  await environmentWith(pid, `RUNDIR=${inner}/.sysmgr`, `SYSDIR=${inner}`, "SYSMGR_SERVICE=web");
  expect(list(`${outer}/.sysmgr`)).not.toContain("web");
  expect(await runsvdir.end("SIGHUP")).toBe(111);
  // TERM to the inner one has left its services running.
  const again = FrontEnd.start(box, ["runsvdir", inner]);
  await web.served(box);
  expect(await again.end("SIGHUP")).toBe(111);
});

patientScenario("a second one on the same directory says so, and exits 111", async (box) => {
  const dir = directory(box);
  const web = new Supervised(serviceDirectory(dir, "web"));
  const first = FrontEnd.start(box, ["runsvdir", dir]);
  const pid = await web.runs();
  const second = FrontEnd.start(box, ["runsvdir", dir]);
  expect(await second.ended()).toBe(111);
  expect(second.messages).toBe(
    `runsvdir ${dir}: fatal: unable to lock ${dir}/.sysmgr: temporary failure (held by process ${first.pid})\n`,
  );
  expect(web.pid).toBe(pid);
  expect(await first.end("SIGHUP")).toBe(111);
});

patientScenario("it waits for a directory that is not there, and says so once", async (box) => {
  const dir = `${box.dir}/later`;
  const says = `runsvdir ${dir}: warning: unable to stat ${dir}: file does not exist\n`;
  const gone = FrontEnd.start(box, ["runsvdir", dir]);
  await until(() => gone.messages === says, "it says so");
  expect(await gone.end("SIGHUP")).toBe(111);
  const patient = FrontEnd.start(box, ["runsvdir", dir]);
  await until(() => patient.messages === says, "it says so");
  serviceDirectory(box.dir, "staged/web");
  rename(`${box.dir}/staged`, dir);
  const web = new Supervised(`${dir}/web`);
  await web.runs();
  expect(await patient.end("SIGHUP")).toBe(111);
  expect(patient.messages).toBe(says);
});

patientScenario("a link to the directory may be changed while it runs", async (box) => {
  const [one, two] = [directory(box, "one"), directory(box, "two")];
  const [a, b] = [serviceDirectory(one, "a"), serviceDirectory(two, "b")].map(
    (path) => new Supervised(path),
  );
  if (!a || !b) throw new Error("two services");
  link(one, `${box.dir}/current`);
  const runsvdir = FrontEnd.start(box, ["runsvdir", `${box.dir}/current`]);
  const pid = await a.runs();
  link(two, `${box.dir}/next`);
  rename(`${box.dir}/next`, `${box.dir}/current`);
  await b.served(box);
  await b.runs();
  await until(() => !lives(pid), "what was in the other one is stopped");
  expect(exists(`${two}/.sysmgr`)).toBeFalse();
  expect(b.file("sysmgr")).toBe(`${one}/.sysmgr\nb\n`);
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

// --------------------------------------------------------------------- state

patientScenario(".sysmgr may be a link; what it leads to is made", async (box) => {
  const dir = directory(box);
  link(`${box.dir}/state/service`, `${dir}/.sysmgr`);
  const web = new Supervised(serviceDirectory(dir, "web"));
  const runsvdir = FrontEnd.start(box, ["runsvdir", dir]);
  const pid = await web.runs();
  expect(read(`${box.dir}/state/service/web/pid`)).toBe(`${pid}\n`);
  expect(await runsvdir.end("SIGHUP")).toBe(111);
});

patientScenario(
  "where it cannot be made, it says what to do",
  async (box) => {
    const dir = directory(box);
    const nobody = ["/usr/bin/env", "setpriv", "--reuid=65534", "--clear-groups", "--"];
    const ours = `${import.meta.dir}/../../build/bin/runsvdir`;
    const runsvdir = FrontEnd.start(box, [...nobody, ours, dir]);
    expect(await runsvdir.ended()).toBe(111);
    const hint = "make it a link to a directory that can be written";
    expect(runsvdir.messages).toBe(
      `runsvdir ${dir}: fatal: unable to make ${dir}/.sysmgr: access denied (${hint})\n`,
    );
  },
  haveAll.setpriv,
);

patientScenario(
  "a user may run one for himself",
  async (box) => {
    const dir = directory(box);
    const web = new Supervised(serviceDirectory(dir, "web"));
    for (const path of [dir, web.path, `${web.path}/run`]) chownSync(path, 65534, 65534);
    const user = ["/usr/bin/env", "setpriv", "--reuid=65534", "--clear-groups", "--"];
    const ours = `${import.meta.dir}/../../build/bin/runsvdir`;
    const runsvdir = FrontEnd.start(box, [...user, ours, dir]);
    await web.served(box);
    await web.runs();
    expect(await runsvdir.end("SIGHUP")).toBe(111);
    expect(runsvdir.messages).toBe("");
  },
  haveAll.setpriv,
);

patientScenario(
  "directories that cannot be written: links lead to where the state may be",
  async (box) => {
    const dir = directory(box);
    const [web, db] = ["web", "db"].map((name) => new Supervised(serviceDirectory(dir, name)));
    if (!web || !db) throw new Error("two services");
    for (const [name, path] of [
      ["state", `${dir}/.sysmgr`],
      ["supervise", `${web.path}/supervise`],
    ] as const) {
      makeDirectory(`${box.dir}/of-user`);
      chownSync(`${box.dir}/of-user`, 65534, 65534);
      link(`${box.dir}/of-user/${name}`, path);
    }
    const user = ["/usr/bin/env", "setpriv", "--reuid=65534", "--clear-groups", "--"];
    const runsvdir = FrontEnd.start(box, [...user, `${BIN}/runsvdir`, dir]);
    await web.served(box);
    const pid = await web.runs();
    expect(read(`${box.dir}/of-user/supervise/pid`)).toBe(`${pid}\n`);
    await until(() => exists(`${dir}/.sysmgr/db/pid`), "the other one runs all the same");
    const why = "Permission denied (it may be a link to a directory that can be written)";
    const said = `sysmgr-bridge: db: cannot make ${db.path}/supervise: ${why}\n`;
    await until(() => runsvdir.messages === said, "it says what to do");
    expect(await runsvdir.end("SIGHUP")).toBe(111);
  },
  haveAll.setpriv,
);

// ----------------------------------------------------------------------- log

const LOG = `log: ${".".repeat(60)}`;

function log(frontEnd: FrontEnd): string {
  return read(`/proc/${frontEnd.pid}/cmdline`)?.split("\0").at(-2) ?? "";
}

patientScenario("what services say is shown in the log, and by the next one, too", async (box) => {
  const dir = directory(box);
  const gate = `${box.dir}/gate`;
  const web = new Supervised(
    serviceDirectory(
      dir,
      "web",
      `echo one two >&2; while [ ! -e ${gate} ]; do sleep 0.1; done; echo three >&2; exec sleep 3600`,
    ),
  );
  const first = FrontEnd.start(box, ["runsvdir", dir, LOG]);
  const pid = await web.runs();
  await until(() => log(first).endsWith("..one two\n"), "it is shown");
  expect(log(first)).toBe(`log: ${".".repeat(52)}one two\n`);
  expect(await first.end("SIGTERM")).toBe(0);
  const second = FrontEnd.start(box, ["runsvdir", "-P", dir, LOG, "more", ""]);
  await web.served(box);
  place(gate, "");
  const shown = () => read(`/proc/${second.pid}/cmdline`)?.split("\0").at(-4) ?? "";
  await until(() => shown().endsWith("...three\n"), "it is shown there");
  expect(lives(pid)).toBeTrue();
  expect(await second.end("SIGHUP")).toBe(111);
  expect(first.messages + second.messages).toBe("");
});

patientScenario(
  "the log turns as the original's does",
  async (box) => {
    for (const [i, program] of [original("runsvdir"), "runsvdir"].entries()) {
      const runsvdir = FrontEnd.start(box, [program, directory(box, `dir${i}`), LOG]);
      await until(() => read(`/proc/${runsvdir.pid}/cmdline`)?.includes(LOG), "it has begun");
      if (i === 1) await until(() => runsvdir.bridge, "it works");
      for (const text of ["one", "\x01 two", "\n\n3", "long ".repeat(30), "end\n"]) {
        await until(() => readlinkSync(`/proc/${runsvdir.pid}/fd/2`) !== runsvdir.output, "a pipe");
        await box.run(["sh", "-c", `printf %s "$1" >/proc/${runsvdir.pid}/fd/2`, "sh", text]);
        // The original's first dot of expiry comes soon.
        const shown = () => log(runsvdir).replace(/\.$/, "");
        await until(() => shown().endsWith(text.slice(-60)), `the log ends with ${text}`);
        expect(log(runsvdir)).toStartWith("log: ");
        expect(log(runsvdir).length).toBe(LOG.length);
      }
      expect(await runsvdir.end("SIGHUP")).toBe(111);
    }
  },
  have.runit,
);

// --------------------------------------------------------------------- usage

for (const args of [[], ["-P"], ["--"]]) {
  scenario(
    `${JSON.stringify(args)} is wrong usage, as it is there`,
    async (box) => {
      const [theirs, ours] = [
        await box.run([original("runsvdir"), ...args]),
        await box.run(["runsvdir", ...args]),
      ];
      // Both begin with the name by which they were called.
      expect(ours).toEqual({ ...theirs, err: theirs.err.replace("/usr/bin", BIN) });
    },
    have.runit,
  );
}

for (const args of [
  ["DIR", "short."],
  ["-P", "DIR", ""],
  ["-Px", "DIR", "log"],
]) {
  patientScenario(
    `${JSON.stringify(args)}: the log is too short, and that is told as it is there`,
    async (box) => {
      const dir = directory(box);
      const given = args.map((arg) => (arg === "DIR" ? dir : arg));
      for (const program of [original("runsvdir"), "runsvdir"]) {
        const runsvdir = FrontEnd.start(box, [program, ...given]);
        const lines = ["log must have at least seven characters.", "log service disabled."];
        const text = lines.map((line) => `runsvdir ${dir}: warning: ${line}\n`).join("");
        await until(() => runsvdir.messages === text, "it is told");
        if (program === "runsvdir") await until(() => runsvdir.bridge, "it has begun");
        expect(await runsvdir.end("SIGHUP")).toBe(111);
        remove(`${dir}/.sysmgr`);
      }
    },
    have.runit,
  );
}

printsUsage("runsvdir", "runsvdir [-P] DIR [LOG]");
