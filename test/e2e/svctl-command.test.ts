/** svctl as a command: options, names, exit status, and what it says when it can do nothing. */
import { expect } from "bun:test";
import { AS_NOBODY, shell } from "../lib/clients.ts";
import { exists, list, makeDirectory, remove, write } from "../lib/files.ts";
import { lives } from "../lib/processes.ts";
import { have, scenario } from "../lib/scenario.ts";
import { trapping } from "../lib/service.ts";

for (const option of ["-h", "--help"]) {
  scenario(`${option} prints the usage on stdout and exits 0`, async (box) => {
    const { code, out, err } = await box.run(["svctl", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("usage: svctl [-hV] [-d SYSDIR] [-r RUNDIR] [-t SECONDS]");
    expect(out).toEndWith("\n");
  });
}

for (const option of ["-V", "--version"]) {
  scenario(`${option} prints the version on stdout and exits 0`, async (box) => {
    const { code, out, err } = await box.run(["svctl", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^svctl \d+\.\d+\.\d+\n$/);
  });
}

for (const args of [
  [],
  ["-q"],
  ["-x", "status"],
  ["--nosuch", "status"],
  ["-d"],
  ["status", "-r"],
  ["-d", "", "status"],
  ["-t", "status"],
  ["-t", "-1", "stop", "web"],
  ["-t", "1.5", "stop", "web"],
  ["-t", "1e3", "stop", "web"],
  ["-t", "soon", "stop", "web"],
  ["--timeout=", "stop", "web"],
  ["start"],
  ["stop"],
  ["hup", "-n"],
  ["dance", "web"],
  ["constructor", "web"],
  ["__proto__", "web"],
  ["", "web"],
  ["START", "web"],
  ["dance\n\x1b[31m", "web"],
]) {
  scenario(`${JSON.stringify(args)} is wrong usage: one line on stderr, exit 2`, async (box) => {
    const { code, out, err } = await box.run(["svctl", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may reach a terminal
    expect(err).toMatch(/^svctl: [^\x00-\x1f]+\n$/);
  });
}

scenario("a SVWAIT that is no number of seconds is wrong usage", async (box) => {
  const { code, out, err } = await box.run(["svctl", "status"], { env: { SVWAIT: "7s" } });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(/^svctl: SVWAIT: [^\n]+\n$/);
});

scenario("`sysmgr svctl` is svctl", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  expect((await box.run(["sysmgr", "svctl", "stop", "web"])).code).toBe(0);
  expect(web.status.state).toBe("down");
  const wrong = await box.run(["sysmgr", "svctl"]);
  expect(wrong).toMatchObject({ code: 2, err: expect.stringMatching(/^svctl: /) });
});

scenario(
  "options say where, and win over the environment; they may stand anywhere",
  async (box) => {
    const web = box.service("web");
    await box.start();
    const pid = await web.running();
    const env = { SYSDIR: "/nonexistent", RUNDIR: "/nonexistent" };
    const line = expect.stringMatching(new RegExp(`^web: UP, pid ${pid}, `));
    for (const args of [
      ["-d", box.sysdir, "-r", box.rundir, "status", "web"],
      ["status", "web", `-r${box.rundir}`, `-d${box.sysdir}`],
      ["status", `--rundir=${box.rundir}`, "--sysdir", box.sysdir, "web"],
      ["-r", "/also/nonexistent", "status", "-r", `${box.rundir}/./x/../`, "web"],
    ]) {
      expect(await box.run(["svctl", ...args], { env })).toEqual({ code: 0, out: line, err: "" });
    }
    const relative = ["svctl", "-d", "sys", "-r", "run", "status", "web"];
    expect(await box.run(relative, { env, cwd: box.dir })).toMatchObject({ code: 0, out: line });
  },
);

scenario("a service may be a path; its last part counts", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  await box.start();
  await web.running();
  await db.running();
  for (const path of [web.entry, `${web.entry}/`, "./web", "/no/such/directory/web", "../web//"]) {
    const outcome = await box.run(["svctl", "status", path]);
    expect(outcome).toMatchObject({ code: 0, err: "" });
    expect(outcome.out).toStartWith("web: UP, ");
  }
  const all = await shell(box, `svctl -r ${box.rundir} status ${box.sysdir}/*`);
  expect(all.out).toMatch(/^db: UP, .*\nweb: UP, .*\n$/);
  expect((await box.run(["svctl", "stop", web.entry])).code).toBe(0);
  expect([web.status.state, lives(db.pid ?? 0)]).toEqual(["down", true]);
});

for (const word of ["status", "start", "stop", "restart", "once", "kill", "hup"]) {
  scenario(`${word} says which services there are not, and does the others`, async (box) => {
    const web = box.service("web", trapping("HUP"));
    await box.start();
    await web.traced("ready");
    await web.running();
    const nosuch = await box.run(["svctl", word, "nosuch"]);
    expect(nosuch).toEqual({ code: 1, out: "", err: "svctl: nosuch: no such service\n" });
    const outcome = await box.run(["svctl", word, "nosuch", "web", "/a/b\n"]);
    expect(outcome).toEqual({
      code: 1,
      out: expect.stringMatching(/^web: (UP|DOWN), .*\n$/),
      err: "svctl: nosuch: no such service\nsvctl: b\\x0a: no such service\n",
    });
    // A file may be on its way at this moment.
    const files = list(box.rundir).filter((file) => !file.startsWith(".new."));
    expect(files.sort()).toEqual([".control", ".lock", "pid", "web"]);
  });
}

for (const name of ["pid", ".control", ".", "..", "", "/", ".lock"]) {
  scenario(`${JSON.stringify(name)} is no service`, async (box) => {
    const web = box.service("web");
    await box.start();
    const pid = await web.running();
    for (const word of ["stop", "status", "hup"]) {
      const outcome = await box.run(["svctl", word, name]);
      expect(outcome).toMatchObject({ code: 1, out: "" });
      expect(outcome.err).toMatch(/^svctl: [^\n]*: no such service\n$/);
    }
    expect(web.pid).toBe(pid);
    expect(list(`${box.rundir}/.control`)).toEqual([]);
  });
}

scenario("options end at --, so that a name may begin with a dash", async (box) => {
  const odd = box.service("-n");
  await box.start();
  await odd.running();
  expect(await box.run(["svctl", "stop", "--", "-n"])).toMatchObject({ code: 0, err: "" });
  expect(odd.status.state).toBe("down");
  expect((await box.run(["svctl", "start", `${box.sysdir}/-n`])).code).toBe(0);
  expect(lives(odd.pid ?? 0)).toBeTrue();
});

for (const [what, name] of [
  ["a newline", "a\nb: UP"],
  ["blanks and shell words", " $(id) ; 'x' \"* "],
  ["bytes that are no UTF-8", "w\xff\xc3b"],
  ["255 bytes", "n".repeat(255)],
  ["255 bytes, no one printable", "\x01".repeat(255)],
  ["only digits", "1"],
] as const) {
  scenario(`every operation works for a name of ${what}`, async (box) => {
    const odd = box.service(name, trapping("HUP"));
    const web = box.service("web");
    await box.start();
    const pid = await web.running();
    await odd.traced("ready");
    await odd.running();
    const quoted = `'${name.replaceAll("'", `'\\''`)}'`;
    for (const word of ["hup", "stop", "start", "restart", "once", "pause", "cont", "kill"]) {
      if (word === "pause") await odd.running();
      const outcome = await shell(box, `svctl ${word} ${quoted}`, { env: places(box) });
      expect({ word, ...outcome }).toMatchObject({ word, code: 0, err: "" });
      if (word === "hup") await odd.traced("HUP");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may reach a terminal
      expect(outcome.out).toMatch(/^[^\x00-\x1f]+: (UP|DOWN), [^\x00-\x1f]+\n$/);
    }
    expect(odd.status).toMatchObject({ state: "down", runs: "3" });
    expect(odd.count("HUP")).toBe(1);
    expect(web.pid).toBe(pid);
  });
}

const places = ({ sysdir, rundir }: { sysdir: string; rundir: string }) => ({
  SYSDIR: sysdir,
  RUNDIR: rundir,
});

scenario("where no sysmgr works, svctl says so in one line", async (box) => {
  const web = box.service("web");
  makeDirectory(box.rundir);
  const outcome = {
    code: 1,
    out: "",
    err: `svctl: no sysmgr works on ${box.rundir}\n`,
  };
  for (const args of [["status"], ["status", "web"], ["stop", "web"], ["-n", "start", "web"]]) {
    expect(await box.run(["svctl", ...args])).toEqual(outcome);
  }
  const sysmgr = await box.start();
  const pid = await web.running();
  await sysmgr.crash();
  expect(await box.run(["svctl", "stop", "web"])).toEqual(outcome);
  expect(lives(pid)).toBeTrue();
  expect(web.box).toEqual([]);
  for (const garbage of ["", "0\n", "-1\n", "nonsense\n", "99999999999\n"]) {
    write(`${box.rundir}/pid`, garbage);
    expect(await box.run(["svctl", "status"])).toEqual(outcome);
  }
  await box.start();
  await web.running();
});

scenario("where there is no RUNDIR, svctl names it", async (box) => {
  box.service("web");
  for (const args of [["status"], ["stop", "web"]]) {
    expect(await box.run(["svctl", ...args])).toEqual({
      code: 1,
      out: "",
      err: `svctl: cannot open ${box.rundir}: No such file or directory\n`,
    });
  }
  const file = `${box.dir}/file`;
  write(file, "");
  const outcome = await box.run(["svctl", "-r", file, "status"]);
  expect(outcome).toEqual({
    code: 1,
    out: "",
    err: `svctl: cannot open ${file}: Not a directory\n`,
  });
});

scenario("without SYSDIR it knows what runs", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  const pid = await web.running();
  const args = ["-d", "/nonexistent"];
  expect((await box.run(["svctl", ...args, "status"])).out).toStartWith(`web: UP, pid ${pid}, `);
  expect((await box.run(["svctl", ...args, "stop", "web"])).code).toBe(0);
  expect((await box.run(["svctl", ...args, "stop", "db"])).code).toBe(1);
  await sysmgr.answers();
});

scenario(
  "somebody else may look, but not control: svctl names the file",
  async (box) => {
    const web = box.service("web", trapping("HUP"));
    const db = box.service("db");
    await box.start();
    const pid = await web.running();
    await db.running();
    await web.traced("ready");
    const look = await box.run(["svctl", "status", "web"], { wrapper: AS_NOBODY });
    expect(look).toMatchObject({ code: 0, err: "" });
    expect(look.out).toStartWith(`web: UP, pid ${pid}, `);
    for (const [word, file] of [
      ["stop", "down"],
      ["start", "up"],
      ["restart", "restart"],
      ["once", "once"],
      ["kill", "down"],
      ["hup", "hup"],
    ] as const) {
      for (const args of [[word], ["-n", word]]) {
        const outcome = await box.run(["svctl", ...args, "web"], { wrapper: AS_NOBODY });
        const err = `svctl: cannot write ${web.file(`control/${file}`)}: Permission denied\n`;
        expect(outcome).toEqual({ code: 1, out: "", err });
      }
    }
    const both = await box.run(["svctl", "stop", "web", "db"], { wrapper: AS_NOBODY });
    expect(both.err.split("\n").length).toBe(3);
    expect([web.pid, web.lines.length, exists(web.file("lock"))]).toEqual([pid, 2, false]);
  },
  have.setpriv,
);

scenario(
  "a RUNDIR that one may not look into is named",
  async (box) => {
    const web = box.service("web");
    await box.start();
    await web.running();
    await box.run(["chmod", "700", box.rundir]);
    const outcome = await box.run(["svctl", "status"], { wrapper: AS_NOBODY });
    const err = `svctl: cannot open ${box.rundir}: Permission denied\n`;
    expect(outcome).toEqual({ code: 1, out: "", err });
  },
  have.setpriv,
);

scenario(
  "a group that owns control/ may control that service, and no other",
  async (box) => {
    const [web, db] = [box.service("web"), box.service("db")];
    await box.start();
    const pid = await web.running();
    const other = await db.running();
    await box.run(["sh", "-c", 'chgrp 65534 "$0" && chmod 1730 "$0"', web.file("control")]);
    for (const word of ["restart", "stop", "start", "hup"]) {
      const outcome = await box.run(["svctl", word, "web"], { wrapper: AS_NOBODY });
      expect({ word, ...outcome }).toMatchObject({ word, code: 0, err: "" });
    }
    expect(lives(pid)).toBeFalse();
    expect((await box.run(["svctl", "stop", "db"], { wrapper: AS_NOBODY })).code).toBe(1);
    expect(db.pid).toBe(other);
  },
  have.setpriv,
);

scenario("what a request cannot be written to is named", async (box) => {
  const web = box.service("web");
  const sysmgr = await box.start();
  await web.running();
  // It would heal that.
  sysmgr.signal("SIGSTOP");
  remove(web.file("control"));
  write(web.file("control"), "");
  const outcome = await box.run(["svctl", "stop", "web"]);
  const err = `svctl: cannot write ${web.file("control/down")}: Not a directory\n`;
  expect(outcome).toEqual({ code: 1, out: "", err });
  sysmgr.signal("SIGCONT");
});

scenario("output that cannot be written is an error", async (box) => {
  const web = box.service("web");
  await box.start();
  await web.running();
  const { code, err } = await shell(box, "svctl status >/dev/full", { env: places(box) });
  expect({ code, err }).toEqual({
    code: 1,
    err: expect.stringMatching(/^svctl: cannot write [^\n]*: No space left on device\n$/),
  });
});
