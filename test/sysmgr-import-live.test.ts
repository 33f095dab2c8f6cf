/** An imported configuration, run by sysmgr; and beside it by supervisord, where that is installed. */
import { expect } from "bun:test";
import { statSync } from "node:fs";
import { allStats } from "../src/proc.ts";
import { list, makeDirectory, read, write } from "./lib/files.ts";
import { kill } from "./lib/processes.ts";
import type { Sandbox } from "./lib/sandbox.ts";
import { have, scenario } from "./lib/scenario.ts";
import { Service } from "./lib/service.ts";
import { until } from "./lib/until.ts";

const SUPERVISORD = "/usr/bin/supervisord";
const haveSupervisord = Bun.spawnSync(["sh", "-c", `test -x ${SUPERVISORD}`]).exitCode === 0;

/** Writes down what it has been given, says something, and stays. */
const SHOW = `#!/bin/sh
new="$SHOW/.new.$1"
mkdir -p "$new"
cat /proc/$$/cmdline >"$new/args"
cat /proc/$$/environ >"$new/environment"
pwd -P >"$new/directory"
umask >"$new/umask"
id -u >"$new/user"
id -G | tr ' ' '\\n' | sort -n >"$new/groups"
ulimit -Sn >"$new/descriptors"
echo "$1 to out"
echo "$1 to err" >&2
mv "$new" "$SHOW/$1"
exec sleep 3600
`;

/** A file, and what imports it into SYSDIR. */
class ImportBox {
  readonly conf: string;
  readonly show: string;

  constructor(readonly box: Sandbox) {
    this.conf = `${box.dir}/supervisord.conf`;
    this.show = `${box.dir}/show`;
    write(this.show, SHOW, 0o755);
    for (const name of ["theirs", "ours", "log", "work dir"]) {
      makeDirectory(`${box.dir}/${name}`, 0o777);
    }
  }

  configure(...lines: string[]): void {
    write(this.conf, `${lines.join("\n")}\n`);
  }

  /** What it said, without what is not needed any more. */
  async import(code = 0, env: Record<string, string> = {}): Promise<string> {
    const command = ["sysmgr-import", "-q", this.conf, this.box.sysdir];
    const found = await this.box.run(command, { env });
    expect(found).toMatchObject({ code, out: "" });
    return found.err;
  }

  service(name: string): Service {
    return new Service(name, { sysdir: this.box.sysdir, rundir: this.box.rundir }, "/dev/null");
  }

  /** Starts sysmgr, and supervisord; what the programs of both were given. */
  async shown(names: readonly string[], variables: Record<string, string>) {
    const { dir } = this.box;
    await this.box.start({ env: { ...variables, SHOW: `${dir}/ours` } });
    const ours = await this.allShown("ours", names);
    const theirs = await this.supervised(variables, () => this.allShown("theirs", names));
    return { ours, theirs };
  }

  /** Something is looked at while supervisord runs. */
  async supervised<T>(variables: Record<string, string>, look: () => Promise<T>): Promise<T> {
    const { dir, environment } = this.box;
    const child = Bun.spawn([SUPERVISORD, "-c", this.conf, "-n"], {
      env: { ...environment, ...variables, SHOW: `${dir}/theirs` },
      cwd: "/",
      stdio: ["ignore", "ignore", "ignore"],
    });
    const found = await look();
    kill(child.pid, "SIGTERM");
    await child.exited;
    return found;
  }

  private async allShown(who: string, names: readonly string[]) {
    const place = `${this.box.dir}/${who}`;
    await until(() => names.every((name) => list(place).includes(name)), `${who}: all run`);
    return Object.fromEntries(names.map((name) => [name, shown(`${place}/${name}`)]));
  }
}

/** What each of the two adds, and what the shell of a run script does. */
const THEIR_OWN =
  /^(SUPERVISOR_\w+|SYSDIR|RUNDIR|SYSMGR_SERVICE|SHOW|PWD|OLDPWD|SHLVL|_|SANDBOX|TMPDIR)=/;

function shown(place: string) {
  const file = (name: string) => read(`${place}/${name}`) ?? "";
  return {
    args: file("args").split("\0").slice(0, -1),
    environment: file("environment")
      .split("\0")
      .filter((variable) => variable !== "" && !THEIR_OWN.test(variable))
      .sort(),
    directory: file("directory"),
    umask: file("umask"),
    user: file("user"),
    groups: file("groups"),
    descriptors: file("descriptors"),
  };
}

type Body = (box: ImportBox) => Promise<void>;
const importScenario = (name: string, body: Body, needs = true) =>
  scenario(name, (box) => body(new ImportBox(box)), needs);

importScenario(
  "what a program finds around it is what supervisord gives it",
  async (b) => {
    const { dir } = b.box;
    const program = (name: string, args: string, ...lines: string[]) => [
      `[program:${name}]`,
      `command=${b.show} ${name} ${args}`,
      ...lines,
    ];
    b.configure(
      "[supervisord]",
      `logfile=${dir}/theirs.log`,
      `pidfile=${dir}/theirs.pid`,
      `childlogdir=${dir}/log`,
      `environment=BOTH="of all",ALL='x %(ENV_OUTSIDE)s'`,
      ...program("plain", ""),
      ...program("words", `"a b" 'c"d' e\\ f $HOME * "" -x a=b ; comment`),
      ...program("bytes", "'\xc3\xa9' %% %(program_name)s"),
      ...program("long", "a", "  b", "", "  c"),
      ...program("place", "", `directory=${dir}/work dir`, "umask=027"),
      ...program("dots", "", `directory=${dir}/log/../work dir/.`),
      ...program("variables", "", `environment=A="b c",BOTH='its own',X_1='$(id)',Q="it's"`),
      ...program("odd", "", "environment=A-B=c,IFS=x,PS4=y,LD_X=z,BUN_X=1,LANG=C,E=''"),
      ...program("path", "", `environment=PATH="${dir}/log:/usr/bin:/bin"`),
      ...program(
        "search",
        "",
        "[program:found]",
        "command=show-found found",
        "environment=PATH='%(here)s/bin:/bin:/usr/bin'",
      ),
      ...program("user", "a", "user=nobody", "umask=077"),
      ...program("number", "", "user=0"),
      ...["[program:many]", `command=${b.show} many_%(process_num)02d %(numprocs)d`],
      ...["numprocs=2", "process_name=%(program_name)s_%(process_num)02d"],
      ...["[group:g]", "programs=one,two"],
      ...program("one", "%(group_name)s"),
      ...program("two", "%(group_name)s"),
    );
    makeDirectory(`${dir}/bin`);
    write(`${dir}/bin/show-found`, SHOW, 0o755);
    const variables = { OUTSIDE: "y", LC_ALL: "C.UTF-8" };
    expect(await b.import(0, variables)).toBe("");
    const names = [
      ...["plain", "words", "bytes", "long", "place", "dots", "variables", "odd", "path"],
      ...["search", "found", "user", "number", "many_00", "many_01", "one", "two"],
    ];
    const { ours, theirs } = await b.shown(names, variables);
    expect(ours).toEqual(theirs);
    expect(ours.words?.args.slice(-8)).toEqual([
      "a b",
      'c"d',
      "e f",
      "$HOME",
      "*",
      "",
      "-x",
      "a=b",
    ]);
    expect(
      list(b.box.sysdir)
        .filter((name) => name.startsWith("g."))
        .sort(),
    ).toEqual(["g.one", "g.two"]);
  },
  have.root && haveSupervisord,
);

const SAY = `sh -c 'echo out; echo err >&2; exec sleep 3600'`;

importScenario("what is written goes where the file says", async (b) => {
  const log = (file: string) => `${b.box.dir}/log/${file}`;
  const program = (name: string, ...lines: string[]) => [
    `[program:${name}]`,
    `command=${SAY}`,
    ...lines,
  ];
  const unlimited = ["stdout_logfile_maxbytes=0", "stderr_logfile_maxbytes=0"];
  b.configure(
    "[supervisord]",
    ...program("auto"),
    ...program("kept", `stdout_logfile=${log("kept")}`, "redirect_stderr=true"),
    ...program("two", `stdout_logfile=${log("two")}`, `stderr_logfile=${log("two.err")}`),
    ...program(
      "files",
      `stdout_logfile=${log("f")}`,
      `stderr_logfile=${log("f.err")}`,
      ...unlimited,
    ),
    ...program("one", `stdout_logfile=${log("one")}`, "redirect_stderr=yes", ...unlimited),
    ...program("out", "stdout_logfile=/dev/stdout", "stderr_logfile=/dev/stdout", ...unlimited),
    ...program("error", "stdout_logfile=NONE"),
    ...program("nothing", "stdout_logfile=off", "stderr_logfile=/dev/null"),
  );
  write(log("f"), "before\n");
  const said = await b.import(3);
  expect(said).toBe(
    `sysmgr-import: ${b.conf}:11: two: stderr_logfile: ${log("two.err")} is appended to and never ` +
      "rotated: a service has one logger\n",
  );
  const sysmgr = await b.box.start();
  const own = (name: string) => `${b.box.sysdir}/${name}/log/main/current`;
  const wanted = {
    [own("auto")]: "out\nerr\n",
    [log("kept.d/current")]: "out\nerr\n",
    [log("two.d/current")]: "out\n",
    [log("two.err")]: "err\n",
    [log("f")]: "before\nout\n",
    [log("f.err")]: "err\n",
    [log("one")]: "out\nerr\n",
    [own("error")]: "err\n",
  };
  const found = () => Object.fromEntries(Object.keys(wanted).map((path) => [path, read(path)]));
  await until(() => Bun.deepEquals(found(), wanted), "all is written").catch(() => {});
  expect(found()).toEqual(wanted);
  const passed = () => sysmgr.messages.match(/^(out|err)$/gm) ?? [];
  await until(() => passed().length >= 2, "it is on the output of sysmgr");
  expect(passed()).toEqual(["out", "err"]);
  expect((await b.box.run(["svctl", "logs", "kept"])).out).toBe("out\nerr\n");
});

importScenario("logs are rotated as svlogd does it", async (b) => {
  const log = `${b.box.dir}/log/x`;
  b.configure(
    "[supervisord]",
    "[program:web]",
    "command=sh -c 'seq 100000; exec sleep 3600'",
    `stdout_logfile=${log}`,
    "stdout_logfile_maxbytes=10KB",
    "stdout_logfile_backups=3",
  );
  await b.import();
  await b.box.start();
  const current = () => read(`${log}.d/current`) ?? "";
  await until(() => current().endsWith("\n100000\n"), "all is written");
  const old = list(`${log}.d`).filter((name) => /^@.*\.s$/.test(name));
  expect(old.length).toBe(3);
  expect(current().length).toBeLessThanOrEqual(10_240);
});

importScenario("several processes that share a log do not stand in each other's way", async (b) => {
  const log = `${b.box.dir}/log/x`;
  b.configure(
    "[supervisord]",
    "[program:w]",
    "command=sh -c 'echo %(process_num)d; exec sleep 3600'",
    "process_name=%(process_num)d",
    "numprocs=3",
    `stdout_logfile=${log}`,
  );
  await b.import();
  await b.box.start();
  for (const n of [0, 1, 2]) {
    await until(() => read(`${log}.d/w.${n}/current`) === `${n}\n`, `${n} has its log`);
  }
});

/** A name, how it ends, whether it is started again, and options. */
const ENDS: [name: string, end: string, again: boolean, ...lines: string[]][] = [
  ["always", "exit 0", true, "autorestart=true"],
  ["never", "exit 1", false, "autorestart=false"],
  ["expected", "exit 0", false],
  ["unexpected", "exit 1", true],
  ["killed", "kill -9 $$", true],
  ["listed", "exit 3", false, "exitcodes=0,3"],
  ["not-listed", "exit 4", true, "exitcodes=0,3"],
  ["zero", "exit 0", true, "exitcodes=3"],
  ["three", "exit 3", false, "exitcodes=3"],
  ["none", "exit 0", true, "exitcodes="],
];

function configureEnds(b: ImportBox): void {
  b.configure(
    "[supervisord]",
    `logfile=${b.box.dir}/theirs.log`,
    `pidfile=${b.box.dir}/theirs.pid`,
    `childlogdir=${b.box.dir}/log`,
    ...ENDS.flatMap(([name, end, , ...lines]) => [
      `[program:${name}]`,
      `command=sh -c 'echo start >>"$SHOW/${name}"; ${end}'`,
      ...["startsecs=0", "redirect_stderr=true", ...lines],
    ]),
  );
}

/** How often each was started, when all that are to be started again were. */
async function lives(b: ImportBox, who: string): Promise<Record<string, number>> {
  const count = (name: string) =>
    (read(`${b.box.dir}/${who}/${name}`) ?? "").split("\n").length - 1;
  await until(
    () => ENDS.every(([name, , again]) => count(name) > (again ? 1 : 0)),
    `${who}: all have ended, some twice`,
  );
  return Object.fromEntries(ENDS.map(([name]) => [name, count(name)]));
}

importScenario("after which ends it is started again", async (b) => {
  configureEnds(b);
  await b.import();
  await b.box.start({ env: { SHOW: `${b.box.dir}/ours` } });
  for (const [name] of ENDS.filter(([, , again]) => !again)) {
    await until(() => b.service(name).status.wanted === "once", `${name} is not to run`);
    await b.service(name).is("down");
  }
  const found = await lives(b, "ours");
  for (const [name, , again] of ENDS) expect([name, (found[name] ?? 0) > 1]).toEqual([name, again]);
});

importScenario(
  "so does supervisord",
  async (b) => {
    configureEnds(b);
    const found = await b.supervised({}, () => lives(b, "theirs"));
    for (const [name, , again] of ENDS) {
      expect([name, (found[name] ?? 0) > 1]).toEqual([name, again]);
    }
  },
  haveSupervisord,
);

importScenario("svctl restart starts what ends with an expected status", async (b) => {
  b.configure(
    "[supervisord]",
    "[program:web]",
    `command=sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done'`,
    "exitcodes=0,3",
  );
  await b.import();
  await b.box.start();
  const web = b.service("web");
  const logged = () => (read(`${web.entry}/log/main/current`) ?? "").split("\n").length - 1;
  await until(() => logged() === 1, "it is ready");
  for (const lives of [2, 3]) {
    expect(await b.box.run(["svctl", "restart", "web"])).toMatchObject({ code: 0, err: "" });
    await until(() => logged() === lives, "it is ready again");
    expect(web.status.wanted).toBe("up");
  }
});

importScenario("stop: the signal, the group, and KILL", async (b) => {
  const trace = `${b.box.dir}/log/`;
  const program = (name: string, body: string, ...lines: string[]) => [
    `[program:${name}]`,
    `command=sh -c '${body}'`,
    "redirect_stderr=true",
    ...lines,
  ];
  // What is in the background is a process of its own, in the group of the first.
  const waits = "while :; do sleep 0.1; done";
  const child = (name: string, signal: string, what: string) =>
    `(trap "echo child >>${trace}${name}; ${what}" ${signal}; echo >>${trace}${name}.ready; ${waits}) & `;
  b.configure(
    "[supervisord]",
    ...program(
      "signal",
      `trap "echo int >>${trace}signal; exit 0" INT; echo >>${trace}signal.ready; ${waits}`,
      "stopsignal=INT",
    ),
    ...program("group", `${child("group", "TERM", "exit")} ${waits}`, "stopasgroup=true"),
    ...program(
      "quits",
      `${child("quits", "HUP", "exit")} trap exit HUP; ${waits}`,
      "stopasgroup=true",
      "stopsignal=HUP",
    ),
    ...program(
      "stubborn",
      `${child("stubborn", "TERM", ":")} trap "" TERM; echo >>${trace}leader.ready; ${waits}`,
      "killasgroup=true",
      "stopwaitsecs=1",
    ),
  );
  await b.import();
  await b.box.start();
  const names = ["signal", "group", "quits", "stubborn"];
  for (const name of [...names, "leader"])
    await until(() => read(`${trace}${name}.ready`) !== null, name);
  const leaders = names.map((name) => Number(b.service(name).status.pid));
  const { code, err } = await b.box.run(["svctl", "-t", "60", "stop", ...names]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(read(`${trace}signal`)).toBe("int\n");
  await until(() => read(`${trace}group`) === "child\n", "the child of group was told");
  await until(() => read(`${trace}quits`) === "child\n", "the child of quits was told");
  await until(() => leaders.every((pid) => membersOf(pid).length === 0), "no group is left");
});

function membersOf(group: number): number[] {
  return allStats()
    .filter((p) => p.group === group && p.state !== "Z")
    .map((p) => p.pid);
}

importScenario("below a running sysmgr each is started at once, whole", async (b) => {
  const numbers = Array.from({ length: 20 }, (_, i) => `w.${i}`);
  b.configure(
    "[supervisord]",
    "[program:w]",
    "command=sleep 3600",
    "process_name=%(process_num)d",
    "numprocs=20",
    "environment=A-B=c",
    // No pipes to loggers: a sandbox counts the descriptors of sysmgr from its start.
    "stdout_logfile=NONE",
    "redirect_stderr=true",
  );
  const sysmgr = await b.box.start();
  await b.import();
  for (const name of numbers) {
    await until(() => b.service(name).status.state === "up", `${name} is up`);
  }
  expect(sysmgr.messages).not.toMatch(/cannot|without run|exited/);
  expect(list(b.box.sysdir).filter((name) => name.startsWith("."))).toEqual([]);
});

importScenario("autostart=false is started by svctl only; settings are as told", async (b) => {
  b.configure("[supervisord]", "[program:web]", "command=sleep 3600", "autostart=false");
  await b.import();
  await b.box.start();
  await b.service("web").is("down");
  expect(await b.box.run(["svctl", "start", "web"])).toMatchObject({ code: 0, err: "" });
  expect(b.service("web").status.wanted).toBe("up");
});

importScenario(
  "[supervisord] user: everything is done as that one",
  async (b) => {
    const log = `${b.box.dir}/log/x`;
    b.configure(
      "[supervisord]",
      "user=nobody",
      "umask=027",
      "[program:file]",
      "command=sh -c 'id -un; umask; exec sleep 3600'",
      "killasgroup=true",
      `stdout_logfile=${log}`,
      "stdout_logfile_maxbytes=0",
      "[program:kept]",
      "command=sh -c 'id -un; exec sleep 3600'",
      `stdout_logfile=${log}.kept`,
      "[program:other]",
      "command=sh -c 'id -un; exec sleep 3600'",
      "user=daemon",
    );
    await b.import();
    const sysmgr = await b.box.start();
    await until(() => read(log) === "nobody\n0027\n", "file has written");
    const kept = `${log}.kept.d/current`;
    await until(() => read(kept) === "nobody\n", "kept has written");
    const other = `${b.box.sysdir}/other/log/main/current`;
    await until(() => read(other) === "daemon\n", "other has written");
    expect([log, kept].map((path) => statSync(path).uid)).toEqual([65534, 65534]);
    expect(sysmgr.messages).not.toContain("denied");
    const pid = await until(() => b.service("file").pid, "its pid is written");
    expect(read(b.service("file").file("pgid"))).toBe(`${pid}\n`);
  },
  have.root,
);
