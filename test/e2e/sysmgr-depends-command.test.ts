/** sysmgr-depends as a command: options, exit status, and what it says when it cannot wait. */
import { expect } from "bun:test";
import { AS_NOBODY, shell } from "../lib/clients.ts";
import { makeDirectory } from "../lib/files.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";

for (const option of ["-h", "--help"]) {
  scenario(`${option} prints the usage on stdout and exits 0`, async (box) => {
    const { code, out, err } = await box.run(["sysmgr-depends", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("usage: sysmgr-depends [-h");
    expect(out).toEndWith("\n");
  });
}

for (const option of ["-V", "--version"]) {
  scenario(`${option} prints the version on stdout and exits 0`, async (box) => {
    const { code, out, err } = await box.run(["sysmgr-depends", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^sysmgr-depends \d+\.\d+\.\d+\n$/);
  });
}

for (const args of [
  [],
  ["-f"],
  ["-x", "db"],
  ["--nosuch", "db"],
  ["db", "-t"],
  ["-t", "db"],
  ["-t", "0.5", "db"],
  ["-t", "-1", "db"],
  ["-d", "", "db"],
  ["-n", "db"],
  ["--oh\n\x1b[31m", "db"],
]) {
  scenario(`${JSON.stringify(args)} is wrong usage: one line on stderr, exit 2`, async (box) => {
    const { code, out, err } = await box.run(["sysmgr-depends", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may reach a terminal
    expect(err).toMatch(/^sysmgr-depends: [^\x00-\x1f]+\n$/);
  });
}

scenario("`sysmgr sysmgr-depends` is sysmgr-depends", async (box) => {
  const db = box.service("db");
  await box.start();
  await db.is("up");
  const done = { code: 0, out: "", err: "" };
  expect(await box.run(["sysmgr", "sysmgr-depends", "db"])).toEqual(done);
  const wrong = await box.run(["sysmgr", "sysmgr-depends", "nosuch"]);
  expect(wrong).toEqual({ code: 1, out: "", err: "sysmgr-depends: nosuch: no such service\n" });
});

scenario(
  "options say where, and win over the environment; a service may be a path",
  async (box) => {
    const db = box.service("db");
    await box.start();
    await db.is("up");
    const env = { SYSDIR: "/nonexistent", RUNDIR: "/nonexistent" };
    const done = { code: 0, out: "", err: "" };
    for (const args of [
      ["-d", box.sysdir, "-r", box.rundir, "db"],
      [`--rundir=${box.rundir}`, db.entry, "--sysdir", box.sysdir],
      ["-r", box.rundir, `${db.entry}/`, "-t", "5", "./db"],
    ]) {
      expect(await box.run(["sysmgr-depends", ...args], { env })).toEqual(done);
    }
    const relative = ["sysmgr-depends", "-r", "run", "db"];
    expect(await box.run(relative, { env, cwd: box.dir })).toEqual(done);
  },
);

scenario("a service that does not exist ends it at once, whatever the others do", async (box) => {
  const [db, down] = [box.service("db"), box.service("down")];
  makeDirectory(down.file("."));
  down.mark();
  await box.start();
  await db.is("up");
  for (const names of [["nosuch"], ["down", "nosuch"], ["nosuch", "down"], ["db", "nosuch"]]) {
    const outcome = await box.run(["sysmgr-depends", ...names]);
    const err = "sysmgr-depends: nosuch: no such service\n";
    expect(outcome).toEqual({ code: 1, out: "", err });
  }
});

for (const name of ["pid", ".control", "", "/", "..", "a\n\x1b[31m"]) {
  scenario(`${JSON.stringify(name)} is no service`, async (box) => {
    await box.start();
    const { code, out, err } = await box.run(["sysmgr-depends", name]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may reach a terminal
    expect(err).toMatch(/^sysmgr-depends: [^\x00-\x1f]*: no such service\n$/);
  });
}

scenario("a name that is no UTF-8 is said as it is", async (box) => {
  await box.start();
  const script = `exec sysmgr-depends -d ${box.sysdir} -r ${box.rundir} 'w\xff\xc3b'`;
  const err = "sysmgr-depends: w\xff\xc3b: no such service\n";
  expect(await shell(box, script)).toEqual({ code: 1, out: "", err });
});

scenario("where no sysmgr works, it says so in one line", async (box) => {
  const db = box.service("db");
  makeDirectory(box.rundir);
  const outcome = {
    code: 1,
    out: "",
    err: `sysmgr-depends: no sysmgr works on ${box.rundir}\n`,
  };
  expect(await box.run(["sysmgr-depends", "db"])).toEqual(outcome);
  const sysmgr = await box.start();
  await db.is("up");
  await sysmgr.crash();
  expect(await box.run(["sysmgr-depends", "db"])).toEqual(outcome);
  await box.start();
});

scenario("where there is no RUNDIR, it names it", async (box) => {
  box.service("db");
  expect(await box.run(["sysmgr-depends", "db"])).toEqual({
    code: 1,
    out: "",
    err: `sysmgr-depends: cannot open ${box.rundir}: No such file or directory\n`,
  });
});

scenario(
  "a RUNDIR that one may not look into is named",
  async (box) => {
    const db = box.service("db");
    await box.start();
    await db.running();
    await box.run(["chmod", "700", box.rundir]);
    const outcome = await box.run(["sysmgr-depends", "db"], { wrapper: AS_NOBODY });
    const err = `sysmgr-depends: cannot open ${box.rundir}: Permission denied\n`;
    expect(outcome).toEqual({ code: 1, out: "", err });
  },
  have.setpriv,
);

for (const form of [["-t", "1"], ["-t1"], ["--timeout=1"], ["-ft", "1"]]) {
  patientScenario(`${form.join(" ")} gives up after a second, and says for what`, async (box) => {
    const [db, down] = [box.service("db"), box.service("down")];
    makeDirectory(down.file("."));
    down.mark();
    await box.start();
    await db.is("up");
    await down.is("down");
    const names = form[0] === "-ft" ? ["down"] : ["db", "down"];
    const { code, out, err } = await box.run(["sysmgr-depends", ...form, ...names]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^sysmgr-depends: down: not [^\n]+ after 1 s \(down\)\n$/);
  });
}

scenario("-t 0 only looks", async (box) => {
  const [db, down] = [box.service("db"), box.service("down")];
  makeDirectory(down.file("."));
  down.mark();
  await box.start();
  await db.is("up");
  await down.is("down");
  expect((await box.run(["sysmgr-depends", "-t", "0", "db"])).code).toBe(0);
  expect((await box.run(["sysmgr-depends", "-t", "0", "down"])).code).toBe(1);
});

scenario("SVWAIT is no affair of its", async (box) => {
  const db = box.service("db");
  await box.start();
  const call = await box.run(["sysmgr-depends", "db"], { env: { SVWAIT: "never" } });
  expect(call).toEqual({ code: 0, out: "", err: "" });
  expect(db.status.state).toBe("up");
});

scenario("the same service many times is not too much", async (box) => {
  const db = box.service("db");
  await box.start();
  const call = await box.run(["sysmgr-depends", ...Array(500).fill("db")]);
  expect(call).toEqual({ code: 0, out: "", err: "" });
  expect(db.status.state).toBe("up");
});
