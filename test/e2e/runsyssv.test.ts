/** runsyssv: one service in the foreground, for trying a script out. */
import { expect } from "bun:test";
import { closeSync, openSync, statSync } from "node:fs";
import { shell } from "../lib/clients.ts";
import { DEPENDS } from "../lib/depends.ts";
import { exists, link, list, makeDirectory, place, read, remove, rename } from "../lib/files.ts";
import { children, environmentWith, kill, lives } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have, patientScenario, scenario } from "../lib/scenario.ts";
import { Service, STAY } from "../lib/service.ts";
import { Supervisor } from "../lib/supervisor.ts";
import { until } from "../lib/until.ts";

type Options = { env?: Record<string, string>; cwd?: string };

let outputs = 0;

/** Begins it, with its output in a file; private directories are made in the sandbox. */
function begin(box: Sandbox, args: string[], options: Options = {}) {
  const output = `${box.dir}/log.${++outputs}`;
  const fd = openSync(output, "a");
  const child = Bun.spawn([`${BIN}/runsyssv`, ...args], {
    env: { ...box.environment, TMPDIR: box.dir, ...options.env },
    cwd: options.cwd ?? "/",
    stdio: ["ignore", fd, fd],
  });
  closeSync(fd);
  return { child, output };
}

/** The directories that it has made for itself. */
function privateDirectories(parent: string): string[] {
  const names = list(parent).filter((name) => name.startsWith("runsyssv."));
  return names.map((name) => `${parent}/${name}`);
}

/** A runsyssv that works, and the service as it is seen in its RUNDIR. */
class Running {
  private constructor(
    readonly supervisor: Supervisor,
    readonly rundir: string,
    readonly service: Service,
  ) {}

  static async start(box: Sandbox, service: Service, args: string[] = [], options: Options = {}) {
    const { child, output } = begin(box, [...args, service.entry], options);
    const found = () => (read(output) ?? "").match(/ -r (\S+) status /)?.[1];
    const given = args.includes("-r") ? args[args.indexOf("-r") + 1] : undefined;
    const rundir = given ?? (await until(found, "runsyssv prints its RUNDIR"));
    const supervisor = await Supervisor.ready(child, () => rundir, output);
    const places = { sysdir: service.entry.replace(/\/[^/]*$/, ""), rundir };
    return new Running(supervisor, rundir, new Service(service.name, places, service.traceFile));
  }

  /** It works, and ends as it should. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.supervisor.verify();
    this.supervisor.signal(signal);
    expect(await this.supervisor.exited()).toBe(0);
    expect(this.supervisor.count(/internal error/)).toBe(0);
  }
}

scenario("runs a file as a service, and says how to talk to it", async (box) => {
  const it = await Running.start(box, box.service("web"));
  const pid = await it.service.running();
  expect(children(it.supervisor.pid).map((p) => p.pid)).toEqual([pid]);
  const [line = ""] = it.supervisor.messages.split("\n");
  expect(line).toMatch(/^runsyssv: try: svctl -d \S+ -r \S+ status web$/);
  const command = line.replace("runsyssv: try: ", "");
  const { code, out } = await shell(box, command);
  expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(`web: UP, pid ${pid}, `) });
  await it.supervisor.says(new RegExp(`^runsyssv: web: started, pid ${pid}$`, "m"));
  expect(it.supervisor.count(new RegExp(`^runsyssv: web: started, pid ${pid}$`))).toBe(1);
  await it.end();
});

patientScenario("starts it again when it ends", async (box) => {
  const it = await Running.start(box, box.service("web"));
  const pid = await it.service.aged(1000);
  kill(pid, "SIGKILL");
  await it.service.runningAfter(pid);
  await it.supervisor.says(/^runsyssv: web: ended by signal KILL after .*; restarting$/m);
  await it.end();
});

patientScenario("waits before it starts again what ends at once", async (box) => {
  const it = await Running.start(box, box.service("web", "exit 3"));
  await it.supervisor.says(/^runsyssv: web: exited with 3 after .*; next start in 2 s$/m);
  await it.end();
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const) {
  scenario(`${signal} ends both; the private RUNDIR goes away`, async (box) => {
    const web = box.service(
      "web",
      "trap 'trace term; exit 0' TERM\ntrace ready\nwhile :; do sleep 3600 & wait $!; done",
    );
    const it = await Running.start(box, web);
    const pid = await it.service.running();
    const [place = "", ...more] = privateDirectories(box.dir);
    expect([more, statSync(place).mode & 0o777]).toEqual([[], 0o700]);
    expect(it.rundir).toStartWith(place);
    await web.traced("ready");
    await it.end(signal);
    expect([lives(pid), privateDirectories(box.dir)]).toEqual([false, []]);
    expect(web.lines.at(-1)).toBe("term");
    expect(exists(web.entry)).toBeTrue();
  });
}

scenario("svctl can do everything to it", async (box) => {
  const it = await Running.start(box, box.service("web"));
  const places = ["-d", box.sysdir, "-r", it.rundir];
  for (const word of ["restart", "stop", "start", "once", "cont", "kill", "start"]) {
    const outcome = await box.run(["svctl", ...places, word, "web"]);
    expect({ word, ...outcome }).toMatchObject({ word, code: 0, err: "" });
    if (word !== "stop" && word !== "kill") await it.service.running();
  }
  await it.end();
});

scenario("neighbours are neither started nor touched, now or later", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const it = await Running.start(box, web);
  await it.service.running();
  const mail = box.service("mail");
  await it.supervisor.answers();
  it.supervisor.signal("SIGALRM");
  await it.supervisor.answers();
  await it.service.is("up");
  expect([...db.starts, ...mail.starts]).toEqual([]);
  expect(list(it.rundir).sort()).toEqual([".control", ".lock", "pid", "web"]);
  expect(list(box.sysdir).sort()).toEqual(["db", "mail", "web"]);
  expect(it.supervisor.count(/\b(db|mail): /)).toBe(0);
  await it.end();
});

for (const given of [["-r"], ["--rundir"]]) {
  scenario(`${given[0]} says where; it is made, and stays, empty`, async (box) => {
    const rundir = `${box.dir}/x/y`;
    const { child, output } = begin(box, [...given, rundir, box.service("web").entry]);
    const supervisor = await Supervisor.ready(child, () => rundir, output);
    expect(supervisor.messages).toMatch(new RegExp(`^runsyssv: try: .* -r ${rundir} status web\n`));
    await until(() => exists(`${rundir}/web/pid`), "web runs");
    await supervisor.verify();
    await supervisor.stop();
    expect([exists(rundir), privateDirectories(box.dir)]).toEqual([true, []]);
  });
}

scenario("a relative RUNDIR and FILE begin where it was started", async (box) => {
  const web = box.service("web");
  const { child, output } = begin(box, ["-r", "run", "sys/../sys/./web"], { cwd: box.dir });
  const supervisor = await Supervisor.ready(child, () => box.rundir, output);
  await environmentWith(await web.running(), `RUNDIR=${box.rundir}`);
  await supervisor.stop();
});

scenario("a stop marker in a RUNDIR that is given holds", async (box) => {
  const web = box.service("web");
  makeDirectory(web.file("."));
  web.mark();
  const it = await Running.start(box, web, ["-r", box.rundir]);
  await web.is("down");
  expect(web.starts).toEqual([]);
  web.unmark();
  await web.running();
  await it.end();
});

scenario(
  "RUNDIR and SYSDIR in the environment are not read; the service gets its own",
  async (box) => {
    const env = {
      RUNDIR: "/nonexistent",
      SYSDIR: "/nonexistent",
      SYSMGR_SERVICE: "x",
      ODD: "a\nb",
    };
    const it = await Running.start(box, box.service("web"), [], { env });
    const own = [`RUNDIR=${it.rundir}`, "SYSMGR_SERVICE=web", "ODD=a\nb"];
    const found = await environmentWith(await it.service.running(), ...own);
    expect(found).not.toContain("SYSDIR=/nonexistent");
    await it.end();
  },
);

scenario("XDG_RUNTIME_DIR is where the private RUNDIR is made, else TMPDIR", async (box) => {
  makeDirectory(`${box.dir}/xdg`);
  const env = { XDG_RUNTIME_DIR: `${box.dir}/xdg` };
  const it = await Running.start(box, box.service("web"), [], { env });
  expect(it.rundir).toStartWith(`${box.dir}/xdg/runsyssv.`);
  await it.end();
  expect(list(`${box.dir}/xdg`)).toEqual([]);
  const other = await Running.start(box, box.service("web"), [], { env: { XDG_RUNTIME_DIR: "" } });
  expect(other.rundir).toStartWith(`${box.dir}/runsyssv.`);
  await other.end();
});

scenario("a relative TMPDIR begins where it was started, too", async (box) => {
  makeDirectory(`${box.dir}/tmp`);
  const options = { env: { TMPDIR: "tmp" }, cwd: box.dir };
  const it = await Running.start(box, box.service("web"), [], options);
  expect(it.rundir).toStartWith(`${box.dir}/tmp/runsyssv.`);
  await environmentWith(await it.service.running(), `RUNDIR=${it.rundir}`);
  await it.end();
  expect(privateDirectories(`${box.dir}/tmp`)).toEqual([]);
});

for (const variable of ["XDG_RUNTIME_DIR", "TMPDIR"]) {
  scenario(`${variable} that leads nowhere is one clear line, exit 1`, async (box) => {
    const web = box.service("web");
    const path = `${box.dir}/nowhere`;
    const env = { [variable]: path };
    const { code, out, err } = await box.run(["runsyssv", web.entry], { env });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^runsyssv: cannot [^\n]+: No such file or directory\n$/);
    expect(web.starts).toEqual([]);
  });
}

scenario("two of them do not meet", async (box) => {
  const [web, db] = [box.service("web"), box.service("db")];
  const [one, two] = [await Running.start(box, web), await Running.start(box, db)];
  const [a, b] = [await one.service.running(), await two.service.running()];
  expect(one.rundir).not.toBe(two.rundir);
  await one.end();
  expect([lives(a), lives(b)]).toEqual([false, true]);
  await two.end();
});

scenario("the same file twice is two services", async (box) => {
  const web = box.service("web");
  const [one, two] = [await Running.start(box, web), await Running.start(box, web)];
  await until(() => web.starts.length === 2, "two lives");
  await one.end();
  await until(() => web.starts.filter(lives).length === 1, "one ended");
  await two.end();
});

scenario("where another supervisor works it says so, and exits with 1", async (box) => {
  const web = box.service("web");
  const db = box.declare("db");
  place(`${box.dir}/db`, db.script(), 0o755);
  const sysmgr = await box.start();
  const pid = await web.running();
  const { code, err } = await box.run(["runsyssv", "-q", "-r", box.rundir, `${box.dir}/db`]);
  const text = `another sysmgr works there (pid ${sysmgr.pid})`;
  expect({ code, err }).toEqual({ code: 1, err: `runsyssv: cannot lock ${box.rundir}: ${text}\n` });
  expect([web.pid, db.starts.length]).toEqual([pid, 0]);
});

for (const [what, make, reason] of [
  ["is missing", () => {}, "No such file or directory"],
  ["is not executable", (path: string) => place(path, "#!/bin/sh\n", 0o644), "not executable"],
  ["is a dangling link", (path: string) => link("nowhere", path), "dangling link"],
  ["is a directory without run", (path: string) => makeDirectory(path), "a directory without run"],
] as const) {
  scenario(`a file that ${what} is refused in one line, exit 1`, async (box) => {
    const web = box.declare("web");
    make(web.entry);
    const env = { TMPDIR: box.dir };
    const outcome = await box.run(["runsyssv", web.entry], { env });
    const err = `runsyssv: cannot run ${web.entry}: ${reason}\n`;
    expect(outcome).toEqual({ code: 1, out: "", err });
    expect(privateDirectories(box.dir)).toEqual([]);
  });
}

for (const name of ["pid", ".web"]) {
  scenario(`${name} is not a name for a service, exit 1`, async (box) => {
    const web = box.service(name);
    const { code, out, err } = await box.run(["runsyssv", web.entry]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^runsyssv: cannot run [^\n]+: [^\n]*name[^\n]*\n$/);
    expect(web.starts).toEqual([]);
  });
}

scenario(
  "a file that anybody may write is refused to root",
  async (box) => {
    const web = box.declare("web").install(STAY, 0o757);
    const { code, err } = await box.run(["runsyssv", web.entry]);
    const text = `runsyssv: cannot run ${web.entry}: insecure: anybody may write it\n`;
    expect({ code, err }).toEqual({ code: 1, err: text });
  },
  have.root,
);

for (const option of ["-h", "--help"]) {
  scenario(`${option} prints the usage on stdout and exits 0`, async (box) => {
    const { code, out, err } = await box.run(["runsyssv", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith("usage: runsyssv [-hVqv] [-r RUNDIR] FILE\n");
  });
}

for (const option of ["-V", "--version"]) {
  scenario(`${option} prints the version on stdout and exits 0`, async (box) => {
    const { code, out, err } = await box.run(["runsyssv", option]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^runsyssv \d+\.\d+\.\d+\n$/);
  });
}

for (const args of [
  [],
  ["-q"],
  ["-x", "web"],
  ["-r"],
  ["-r", "", "web"],
  ["web", "db"],
  ["-d", "/", "web"],
]) {
  scenario(`${JSON.stringify(args)} is wrong usage: one line on stderr, exit 2`, async (box) => {
    const { code, out, err } = await box.run(["runsyssv", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^runsyssv: [^\n]+\n$/);
  });
}

scenario("-q prints errors only", async (box) => {
  const it = await Running.start(box, box.service("web"), ["-q", "-r", box.rundir]);
  await it.service.running();
  await it.end();
  expect(it.supervisor.messages).toBe("");
});

scenario("-v prints every decision", async (box) => {
  const it = await Running.start(box, box.service("web"), ["-v"]);
  await it.service.is("up");
  await it.supervisor.says(/^runsyssv: web: up$/m);
  await it.end();
});

scenario("what the service prints is seen", async (box) => {
  const it = await Running.start(box, box.service("web", `echo out; echo err >&2\n${STAY}`));
  await it.supervisor.says(/^out$/m);
  await it.supervisor.says(/^err$/m);
  await it.end();
});

scenario("a directory with a run is a service, too", async (box) => {
  const it = await Running.start(box, box.declare("web").installDirectory());
  await it.service.running();
  await it.end();
});

for (const [what, name] of [
  ["blanks and shell words", "a $(id) 'b' ;"],
  ["UTF-8", "b\xc3\xbccher"],
] as const) {
  scenario(
    `a file in a directory, both with names of ${what}, can be tried as it says`,
    async (box) => {
      const dir = `${box.dir}/in${name}`;
      makeDirectory(dir);
      const odd = box.declare(name);
      place(`${dir}/${name}`, odd.script(), 0o755);
      const { child, output } = begin(box, [
        Buffer.from(`${dir}/${name}`, "latin1").toString("utf8"),
      ]);
      await until(() => odd.starts.length === 1, "it runs");
      await until(() => /: started, pid /.test(read(output) ?? ""), "its status tells so");
      const [line = ""] = (read(output) ?? "").split("\n");
      const { code, out, err } = await shell(box, line.replace("runsyssv: try: ", ""));
      child.kill();
      expect(await child.exited).toBe(0);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      expect(out).toStartWith(`${name}: UP, pid ${odd.starts[0]}, `);
    },
  );
}

scenario("a script that waits for a neighbour is told that there is none", async (box) => {
  box.service("db");
  const web = box.service("web", `'${DEPENDS}' db; trace "code $?"\n${STAY}`);
  const it = await Running.start(box, web);
  await web.traced("code 1");
  await it.supervisor.says(/^sysmgr-depends: db: no such service$/m);
  await it.service.is("up");
  await it.end();
});

scenario("a changed file is what the next start takes", async (box) => {
  const web = box.service("web");
  const it = await Running.start(box, web);
  const pid = await it.service.running();
  web.install(`trace new\n${STAY}`);
  await it.supervisor.answers();
  expect(it.service.pid).toBe(pid);
  await it.service.command("restart");
  await web.traced("new");
  await it.end();
});

scenario("what lies beside the file is found by its script", async (box) => {
  place(`${box.sysdir}/.common`, "trace common\n");
  const here = '. "$SYSDIR/.common"\n. "$(dirname "$0")/.common"\n';
  const web = box.service("web", `${here}${STAY}`);
  const it = await Running.start(box, web);
  await web.traced("common", 2);
  await it.service.is("up");
  await it.end();
});

patientScenario(
  "an editor's way to save a file, with a moment of absence, stops nothing",
  async (box) => {
    const web = box.service("web");
    const it = await Running.start(box, web);
    // Not if it takes as long as a removal: then once more.
    for (let absent = Number.POSITIVE_INFINITY; absent > 1_900; ) {
      const pid = await it.service.running();
      const before = performance.now();
      rename(web.entry, `${web.entry}~`);
      await it.supervisor.answers();
      web.install(`trace new\n${STAY}`);
      absent = performance.now() - before;
      await it.supervisor.answers();
      if (absent <= 1_900) expect(it.service.pid).toBe(pid);
    }
    const news = web.count("new");
    await it.service.command("restart");
    await web.traced("new", news + 1);
    await it.end();
  },
);

patientScenario("a file that cannot be run any more is run again once it can", async (box) => {
  const web = box.service("web");
  const it = await Running.start(box, web);
  await it.service.running();
  web.install("", 0o644);
  await it.service.command("restart");
  await it.service.is("failed");
  web.install();
  await until(() => web.starts.length === 2, "it is run again");
  web.uninstall();
  await it.service.command("restart");
  await until(() => it.service.pid === null, "it does not run");
  web.install();
  await until(() => web.starts.length === 3, "it is run again");
  await it.end();
});

scenario("a private RUNDIR that was removed is made again, and goes in the end", async (box) => {
  const it = await Running.start(box, box.service("web"));
  const pid = await it.service.running();
  rename(it.rundir, `${box.dir}/old`);
  remove(`${box.dir}/old`);
  await until(() => exists(it.service.file("status")), "it is made again");
  expect(await it.service.running()).toBe(pid);
  await it.end();
  expect(privateDirectories(box.dir)).toEqual([]);
});

scenario("when it is killed the service lives on; the next one takes it over", async (box) => {
  const web = box.service("web");
  const first = await Running.start(box, web);
  const pid = await first.service.running();
  await first.supervisor.crash();
  expect([lives(pid), exists(first.rundir)]).toEqual([true, true]);
  const next = await Running.start(box, web, ["-r", first.rundir]);
  await next.supervisor.answers();
  expect(await next.service.running()).toBe(pid);
  expect(web.starts.length).toBe(1);
  await next.end();
  expect(lives(pid)).toBeFalse();
});

scenario("`sysmgr runsyssv FILE` is the same", async (box) => {
  const web = box.service("web");
  const { code, err } = await box.run(["sysmgr", "runsyssv", `${web.entry}x`]);
  expect({ code, err }).toEqual({
    code: 1,
    err: `runsyssv: cannot run ${web.entry}x: No such file or directory\n`,
  });
});
