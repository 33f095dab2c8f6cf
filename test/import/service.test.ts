/** What a program becomes: the files of its service directory, and what is said to be lost. */
import { describe, expect, test } from "bun:test";
import { Accounts } from "../../src/import/accounts.ts";
import { buildConfig } from "../../src/import/config.ts";
import { Ini, readIni } from "../../src/import/ini.ts";
import { Remarks } from "../../src/import/remarks.ts";
import { type Context, serviceFiles, serviceName, sharedLogs } from "../../src/import/service.ts";
import { parseSettings } from "../../src/settings.ts";
import { BIN } from "../lib/sandbox.ts";
import { chooseSeed, Random } from "../unit/random.ts";

const seed = chooseSeed();

const accounts = new Accounts(
  "root:x:0:0::/root:/x\nweb:x:33:33::/var/www:/x\napp:x:1000:1000::/home/app:/x\n",
  "root:x:0:\nweb:x:33:\napp:x:1000:\ncerts:x:40:web\n",
);
const CONTEXT: Context = { accounts, chpst: "chpst", ownUid: null, home: "/root", secret: false };

type Files = Readonly<Record<string, { text: string; mode: number }>>;

function convert(text: string, context: Partial<Context> = {}) {
  const [ini, remarks] = [new Ini(), new Remarks()];
  readIni(ini, text, "s.conf", remarks);
  const system = { environment: new Map([["X", "y"]]), hostName: "host", accounts };
  const config = buildConfig(ini, "/etc", system, remarks);
  const whole = { ...CONTEXT, ...context };
  const shared = sharedLogs(config, whole);
  const services = config.processes.map((process): [string, Files] => [
    serviceName(process),
    serviceFiles(process, config, whole, shared),
  ]);
  const say = (kinds: string) =>
    remarks.list
      .filter(({ kind }) => kinds.includes(kind))
      .map(({ place, text }) => `${place.line}: ${text}`);
  return { services: Object.fromEntries(services), lost: say("lost error"), notes: say("note") };
}

/** Of one program called web, with these options; [supervisord] stands behind it. */
function web(lines: readonly string[] = [], supervisor: readonly string[] = [], context = {}) {
  const program = ["[program:web]", "command=/bin/x -y", ...lines];
  const { services, ...said } = convert(
    [...program, "[supervisord]", ...supervisor, ""].join("\n"),
    context,
  );
  const files = services.web ?? {};
  const run = files.run?.text.split("\n").slice(2, -1) ?? [];
  return { files, run, ...said };
}

const text = (files: Files, name: string) => files[name]?.text ?? null;

describe("run", () => {
  test("a plain program", () => {
    const { files, lost, notes } = web();
    expect(files.run).toEqual({
      text: `#!/bin/sh
# [program:web] of s.conf, line 1. See sysmgr(8), Service directories.
exec 2>&1
cd / || exit
exec /bin/x -y
`,
      mode: 0o755,
    });
    const names = ["log/main/config", "log/run", "restart", "run", "stop-timeout"];
    expect(Object.keys(files).sort()).toEqual(names);
    expect([lost, notes]).toEqual([[], []]);
  });

  test("a file that is not for everybody", () => {
    expect(web([], [], { secret: true }).files.run?.mode).toBe(0o700);
  });

  /** Options of the program, of [supervisord], and the lines that run has after the first two. */
  const rows: [string, string[], string[], string[]][] = [
    ["a directory", ["directory=/srv/a b"], [], ["cd '/srv/a b' || exit", "exec /bin/x -y"]],
    ["with dots", ["directory=/srv/../x"], [], ["cd -P /srv/../x || exit", "exec /bin/x -y"]],
    ["umask", ["umask=7"], [], ["umask 007", "cd / || exit", "exec /bin/x -y"]],
    ["of all", [], ["umask=027"], ["umask 027", "cd / || exit", "exec /bin/x -y"]],
    ["both", ["umask=077"], ["umask=027"], ["umask 077", "cd / || exit", "exec /bin/x -y"]],
    ["no daemon", [], ["umask=027", "nodaemon=true"], ["cd / || exit", "exec /bin/x -y"]],
    ["directory of all", [], ["directory=/srv"], ["cd /srv || exit", "exec /bin/x -y"]],
    [
      "variables",
      ["environment=A='b c',D=$,_E=f"],
      ["environment=A=x,Z=z"],
      [
        "cd / || exit",
        ...["export A='b c'", "export Z=z", "export D='$'", "export _E=f"],
        "exec /bin/x -y",
      ],
    ],
    [
      "variables that are not for sh",
      ["environment=A-B=c,IFS='x y',LD_PRELOAD=z,BUN_X=1"],
      [],
      [
        "cd / || exit",
        "exec chpst --env A-B=c --env 'IFS=x y' --env LD_PRELOAD=z --env BUN_X=1 \\",
        "    /bin/x -y",
      ],
    ],
    [
      "PATH",
      ["environment=PATH='/a b:/bin'", "user=web"],
      [],
      [
        "cd / || exit",
        "exec chpst -u web:web:certs \\",
        "    env 'PATH=/a b:/bin' \\",
        "    /bin/x -y",
      ],
    ],
    ["a user", ["user=app"], [], ["cd / || exit", "exec chpst -u app \\", "    /bin/x -y"]],
    ["a number", ["user=1000"], [], ["cd / || exit", "exec chpst -u app \\", "    /bin/x -y"]],
    ["root", ["user=root"], [], ["cd / || exit", "exec /bin/x -y"]],
    [
      "a user of all",
      [],
      ["user=app"],
      ['[ "$(id -u)" = 1000 ] || exec chpst -u app ./run', "cd / || exit", "exec /bin/x -y"],
    ],
    [
      "the same user twice",
      ["user=1000"],
      ["user=app"],
      ['[ "$(id -u)" = 1000 ] || exec chpst -u app ./run', "cd / || exit", "exec /bin/x -y"],
    ],
    [
      "two users",
      ["user=web"],
      ["user=app"],
      ["cd / || exit", "exec chpst -u web:web:certs \\", "    /bin/x -y"],
    ],
    [
      "descriptors",
      [],
      ["minfds=4096"],
      ["cd / || exit", "exec chpst -o 4096 \\", "    /bin/x -y"],
    ],
    [
      "what finish is to know",
      ["killasgroup=true"],
      [],
      ['echo $$ >"$RUNDIR/$SYSMGR_SERVICE/pgid" # for finish', "cd / || exit", "exec /bin/x -y"],
    ],
    [
      "the same as another user",
      ["killasgroup=true"],
      ["user=app"],
      [
        '[ ! -w "$RUNDIR" ] || echo $$ >"$RUNDIR/$SYSMGR_SERVICE/pgid" # for finish',
        '[ "$(id -u)" = 1000 ] || exec chpst -u app ./run',
        ...["cd / || exit", "exec /bin/x -y"],
      ],
    ],
  ];
  test.each(rows)("%s", (_, lines, supervisor, wanted) => {
    const { run, lost } = web(
      ["stdout_logfile=/dev/stdout", "stderr_logfile=/dev/stderr", ...lines],
      supervisor,
    );
    expect({ run, lost }).toEqual({ run: wanted, lost: [] });
  });

  test("a program that looks like a variable", () => {
    const { run } = web(["command=/a=b", "environment=PATH=/bin"]);
    expect(run.slice(-2)).toEqual(["exec chpst --env PATH=/bin \\", "    /a=b"]);
  });

  test("who is the caller stays so, and root becomes that user", () => {
    const { run } = web(["user=app", "stdout_logfile=/dev/stdout"], [], { ownUid: 1000 });
    expect(run).toContain('[ "$(id -u)" = 1000 ] || exec chpst -u app ./run');
    expect(run.at(-1)).toBe("exec /bin/x -y");
  });

  test("what is secret can be read by who has to, and by nobody else", () => {
    const run = (lines: string[], supervisor: string[]) =>
      web(lines, supervisor, { secret: true }).files.run;
    expect(run([], [])?.mode).toBe(0o700);
    expect(run(["user=app"], [])?.mode).toBe(0o700);
    expect(run([], ["user=app"])).toMatchObject({ mode: 0o750, gid: 1000 });
  });

  test(`sh gives any word to the program as it was (SEED=${seed})`, () => {
    const random = new Random(seed);
    const alphabet = "ab '\"\\$`*?~{}&|<>()!=-\xe9\t";
    const words = Array.from({ length: 300 }, () => random.bytes(random.below(12), alphabet));
    const quoted = words.map((word) => `"${word.replace(/["\\]/g, "\\$&")}"`).join(" ");
    const { run } = web([`command=printf '%%s\\0' ${quoted}`, "stdout_logfile=/dev/stdout"]);
    const script = Buffer.from(run.at(-1) ?? "", "latin1");
    const { exitCode, stdout } = Bun.spawnSync(["sh"], { stdin: script, cwd: "/" });
    expect(exitCode).toBe(0);
    expect(Buffer.from(stdout).toString("latin1").split("\0").slice(0, -1)).toEqual(words);
  });
});

test(`sh gives any value to the program as it was (SEED=${seed})`, () => {
  const random = new Random(seed);
  const alphabet = "ab \\$`*?~{}&|<>()!=,-\xe9\t";
  const values = Array.from({ length: 200 }, () => `x${random.bytes(random.below(12), alphabet)}x`);
  // Some that sh sets for the program, some that are left to chpst.
  const names = values.map((_, i) => (i % 2 === 0 ? `V${i}` : `V-${i}`));
  const variables = names.map((name, i) => `${name}="${values[i]}"`).join(",");
  const options = ["command=/usr/bin/env -0", "stdout_logfile=/dev/stdout"];
  const chpst = `${BIN}/chpst`;
  const { files } = web([...options, `environment=${variables}`], [], { chpst });
  const stdin = Buffer.from(text(files, "run") ?? "", "latin1");
  const { exitCode, stdout } = Bun.spawnSync(["sh"], { stdin, cwd: "/" });
  expect(exitCode).toBe(0);
  const found = Buffer.from(stdout).toString("latin1").split("\0");
  for (const [i, name] of names.entries()) expect(found).toContain(`${name}=${values[i]}`);
});

describe("where output goes", () => {
  const AUTO = "log/main/config";
  /** Options, the redirections, the command of the logger, and what is lost. */
  const rows: [string, string[], string | null, string | null, RegExp[]][] = [
    ["nothing said", [], "2>&1", "svlogd ./main", []],
    ["redirect_stderr", ["redirect_stderr=true"], "2>&1", "svlogd ./main", []],
    ["no standard error", ["stderr_logfile=NONE"], "2>/dev/null", "svlogd ./main", []],
    ["no standard output", ["stdout_logfile=NONE"], "2>&1 >/dev/null", "svlogd ./main", []],
    [
      "neither",
      ["stdout_logfile=off", "stderr_logfile=/dev/null"],
      ">/dev/null 2>/dev/null",
      null,
      [],
    ],
    ["a file", ["stdout_logfile=/l/a b", "redirect_stderr=1"], "2>&1", "svlogd '/l/a b.d'", []],
    [
      "a file without limit",
      ["stdout_logfile=/l/a b", "stdout_logfile_maxbytes=0", "redirect_stderr=1"],
      ">>'/l/a b' 2>&1",
      null,
      [],
    ],
    ["a device", ["stdout_logfile=/dev/tty1", "redirect_stderr=1"], ">>/dev/tty1 2>&1", null, []],
    [
      "two files",
      ["stdout_logfile=/l/a", "stderr_logfile=/l/b"],
      "2>>/l/b",
      "svlogd /l/a.d",
      [/stderr_logfile: .*never rotated/],
    ],
    [
      "two files without limit",
      [
        "stdout_logfile=/l/a",
        "stderr_logfile=/l/b",
        "stdout_logfile_maxbytes=0",
        "stderr_logfile_maxbytes=0",
      ],
      ">>/l/a 2>>/l/b",
      null,
      [],
    ],
    ["one file twice", ["stdout_logfile=/l/a", "stderr_logfile=/l/a"], "2>&1", "svlogd /l/a.d", []],
    [
      "a file for errors",
      ["stdout_logfile=none", "stderr_logfile=/l/b"],
      "2>&1 >/dev/null",
      "svlogd /l/b.d",
      [],
    ],
    [
      "a file without limit, a file for errors",
      ["stdout_logfile=/l/a", "stdout_logfile_maxbytes=0", "stderr_logfile=/l/b"],
      "2>&1 >>/l/a",
      "svlogd /l/b.d",
      [],
    ],
    [
      "the output of sysmgr",
      ["stdout_logfile=/dev/stdout", "stderr_logfile=/dev/stderr"],
      null,
      null,
      [],
    ],
    ["by number", ["stdout_logfile=/dev/fd/1", "redirect_stderr=true"], "2>&1", null, []],
    [
      "both on its output",
      ["stdout_logfile=/dev/fd/1", "stderr_logfile=/proc/self/fd/1"],
      "2>&1",
      null,
      [],
    ],
    [
      "both on its errors",
      ["stdout_logfile=/dev/stderr", "stderr_logfile=/dev/fd/2"],
      ">&2",
      null,
      [],
    ],
    [
      "errors on its output",
      ["stdout_logfile=none", "stderr_logfile=/dev/stdout"],
      "2>&1 >/dev/null",
      null,
      [],
    ],
    ["its output, and nothing said of errors", ["stdout_logfile=/dev/stdout"], null, null, []],
    [
      "a log, and its output",
      ["stderr_logfile=/dev/stdout"],
      null,
      "svlogd ./main",
      [/stderr_logfile: standard error of sysmgr/],
    ],
    [
      "its output, and a file",
      ["stdout_logfile=/dev/stdout", "stderr_logfile=/l/b"],
      "2>>/l/b",
      null,
      [/never rotated/],
    ],
    [
      "the system log",
      ["stdout_logfile=syslog", "stderr_syslog=true"],
      "2>&1",
      "logger -p user.info -t web",
      [],
    ],
    [
      "the system log for errors",
      ["stderr_syslog=true"],
      "2>&1",
      "svlogd ./main",
      [/stderr_syslog/],
    ],
    [
      "a file and the system log",
      ["stdout_logfile=/l/a", "stdout_syslog=true", "redirect_stderr=true"],
      "2>&1",
      "logger -p user.info -t web",
      [/stdout_syslog: .*not \/l\/a/],
    ],
  ];
  test.each(rows)("%s", (_, lines, redirections, logger, lost) => {
    const found = web(lines);
    const line = found.run.find((line) => /^exec [0-9<>]/.test(line));
    expect(line ?? null).toBe(redirections === null ? null : `exec ${redirections}`);
    const script = text(found.files, "log/run")?.trimEnd().split("\n") ?? [];
    const path = script.find((line) => line.startsWith("log="))?.slice(4);
    const last = script.at(-1)?.replace('"$log"', path ?? "");
    expect(last ?? null).toBe(logger === null ? null : `exec ${logger}`);
    expect(found.lost.length).toBe(lost.length);
    for (const [i, pattern] of lost.entries()) expect(found.lost[i]).toMatch(pattern);
  });

  test("sizes and numbers", () => {
    const config = (...lines: string[]) => text(web(lines).files, AUTO);
    expect(config()).toBe("s52428800\nn10\n");
    expect(config("stdout_logfile_maxbytes=1MB", "stdout_logfile_backups=3")).toBe(
      "s1048576\nn3\n",
    );
    expect(config("stdout_logfile_maxbytes=0", "stdout_logfile_backups=0")).toBe("s0\nn1\n");
  });

  test("a log elsewhere has its config beside its run", () => {
    const { files, notes } = web(["stdout_logfile=/l/it's"]);
    expect(text(files, "log/config")).toBe("s52428800\nn10\n");
    expect(text(files, "log/run")).toBe(`#!/bin/sh
# Standard input is what ../run writes.
log='/l/it'\\''s.d'
mkdir -p "$log" && ln -sfn "$PWD/config" "$log/config" || exit
exec svlogd "$log"
`);
    expect(notes).toEqual([
      "3: web: stdout_logfile: the log is /l/it's.d/current, kept by svlogd(8)",
    ]);
  });

  test("a log of several processes is one for each", () => {
    const { services, notes } = convert(
      [
        "[program:w]\ncommand=x\nnumprocs=2\nprocess_name=%(process_num)d\nstdout_logfile=/l/w",
        "[program:v]\ncommand=x\nstderr_logfile=/l/w\nstdout_logfile=none\n",
      ].join("\n"),
    );
    for (const name of ["w.0", "w.1", "v"]) {
      expect(services[name]?.["log/run"]?.text).toContain(`\nlog=/l/w.d/${name}\n`);
    }
    expect(notes.length).toBe(2);
    expect(notes[0]).toBe(
      "5: w: stdout_logfile: there is a log for each, /l/w.d/*/current, kept by svlogd(8)",
    );
  });

  test.each([
    ["~/x", "/root/x"],
    ["~web/x", "/var/www/x"],
    ["~none/x", "/~none/x"],
    ["/a/~", "/a/~"],
  ])("%s is %s", (file, path) => {
    const { run } = web([
      `stdout_logfile=${file}`,
      "stdout_logfile_maxbytes=0",
      "redirect_stderr=1",
    ]);
    expect(run[0]).toBe(`exec >>${path.includes("~") ? `'${path}'` : path} 2>&1`);
  });

  test("the logger of another user", () => {
    const { files } = web(["stdout_logfile=/l/a"], ["user=app"]);
    expect(text(files, "log/run")).toContain(
      '\n[ "$(id -u)" = 1000 ] || exec chpst -u app ./run\n',
    );
    expect(text(web([], ["user=app"]).files, "log/run")).not.toContain("chpst");
  });
});

describe("settings", () => {
  const rows: [string[], Record<string, string | null>][] = [
    [
      [],
      {
        restart: "on-failure",
        "stop-timeout": "10",
        "stop-signal": null,
        down: null,
        finish: null,
      },
    ],
    [["autorestart=true"], { restart: null }],
    [["autorestart=false"], { restart: "never" }],
    [["exitcodes=1"], { restart: "unless 1" }],
    [["exitcodes=0,1", "autorestart=true"], { restart: null, finish: null }],
    [["exitcodes=0,1", "autorestart=false"], { restart: "never", finish: null }],
    [["stopsignal=INT"], { "stop-signal": "INT" }],
    [["stopsignal=SIGTERM"], { "stop-signal": null }],
    [["stopsignal=RTMIN"], { "stop-signal": "34" }],
    [["stopwaitsecs=3"], { "stop-timeout": "3" }],
    [["stopwaitsecs=0"], { "stop-timeout": "0" }],
    [["stopwaitsecs=-1"], { "stop-timeout": "0" }],
    [["startsecs=0"], { "restart-delay": null }],
    [["startsecs=1"], { "restart-delay": null }],
    [["startsecs=10"], { "restart-delay": "3 10" }],
  ];
  test.each(rows)("%j", (lines, wanted) => {
    const { files } = web(lines);
    for (const [name, value] of Object.entries(wanted)) {
      expect([name, text(files, name)?.trimEnd() ?? null]).toEqual([name, value]);
    }
    const problems: string[] = [];
    parseSettings(
      (file) => text(files, file),
      () => false,
      (problem) => problems.push(problem),
    );
    expect(problems).toEqual([]);
  });

  test("autostart", () => {
    expect(text(web(["autostart=false"]).files, "down")).not.toBeNull();
  });

  test("exit codes", () => {
    const restart = (...lines: string[]) => text(web(lines).files, "restart");
    expect(restart("exitcodes=0,2,3,2")).toBe("unless 0 2 3\n");
    expect(restart("exitcodes=2")).toBe("unless 2\n");
    expect(restart("exitcodes=0")).toBe("on-failure\n");
    expect(restart("exitcodes=")).toBeNull();
    expect(restart("exitcodes=0,2", "autorestart=true")).toBeNull();
    expect(restart("exitcodes=0,2", "autorestart=false")).toBe("never\n");
  });

  test("process groups", () => {
    const { files } = web(["stopasgroup=true", "stopsignal=QUIT"]);
    expect(text(files, "control/q")).toBe(`#!/bin/sh
# stopasgroup: the signal goes to the whole process group.
kill -s QUIT -- -"$(cat "$RUNDIR/$SYSMGR_SERVICE/pid")"
`);
    expect(text(files, "finish")).toContain("killasgroup");
    const group = web(["killasgroup=true"]).files;
    expect(Object.keys(group)).toContain("finish");
    expect(Object.keys(group).filter((name) => name.startsWith("control/"))).toEqual([]);
  });

  test("who may control supervisord may control each service", () => {
    const group = (...lines: string[]) =>
      text(
        convert(`[program:web]\ncommand=x\n[unix_http_server]\n${lines.join("\n")}\n`).services
          .web ?? {},
        "control-group",
      );
    expect(group("chown=root:certs", "chmod=0770")).toBe("certs\n");
    expect(group("chown=root:40", "chmod=0770")).toBe("certs\n");
    expect(group("chown=root:certs", "chmod=0700")).toBeNull();
    expect(group("chown=root:certs", "chmod=0770", "username=a", "password=b")).toBeNull();
    expect(group("chmod=0770")).toBeNull();
  });
});

describe("what is lost, and what is not needed", () => {
  const lost: [string[], RegExp][] = [
    [["priority=1"], /^3: web: priority: all services start at once/],
    [["startretries=5"], /^3: web: startretries: not 5 times/],
    [["startretries=5", "autorestart=no"], /^3: web: startretries: .* is not tried again/],
    [["stopwaitsecs=60"], /^3: web: stopwaitsecs: .* 7 seconds/],
    [["stdout_events_enabled=true"], /^3: web: stdout_events_enabled: /],
    [["stderr_capture_maxbytes=1KB"], /^3: web: stderr_capture_maxbytes: /],
    [["stopasgroup=1", "stopsignal=RTMIN"], /^3: web: stopasgroup: /],
    [["user=nobody-here"], /^3: web: user: there is no user nobody-here/],
    [["directory=rel"], /^3: web: directory: rel: /],
    [["stdout_logfile=rel"], /^3: web: stdout_logfile: rel: /],
    [
      ["stderr_logfile=/l/b", "stdout_logfile_maxbytes=0", "stdout_logfile=rel"],
      /^5: web: stdout_logfile: rel: /,
    ],
    [
      ["environment=A=x%(program_name)s,B='$SUPERVISOR_PROCESS_NAME'"],
      /^3: web: environment: SUPERVISOR_PROCESS_NAME/,
    ],
  ];
  test.each(lost)("%j", (lines, pattern) => {
    const found = web(lines).lost;
    expect(found.length).toBe(1);
    expect(found[0]).toMatch(pattern);
  });

  test("startretries=0 with autorestart=false is as it was", () => {
    expect(web(["startretries=0", "autorestart=false"]).lost).toEqual([]);
  });

  test("a relative program", () => {
    const relative = "[program:web]\ncommand=bin/x\n";
    expect(convert(relative).lost).toEqual([
      "2: web: command: bin/x: the working directory of supervisord is taken for /",
    ]);
    expect(convert(`${relative}directory=/srv\n`).lost).toEqual([]);
    expect(convert(`${relative}[supervisord]\ndirectory=/srv\n`).lost).toEqual([]);
  });

  test("it is said once for all processes of a program", () => {
    const { lost } = web(["numprocs=9", "process_name=%(process_num)d", "priority=5"]);
    expect(lost.length).toBe(1);
  });

  const sections: [string, "lost" | "notes", RegExp][] = [
    ["[unix_http_server]", "notes", /not needed/],
    ["[supervisorctl]", "notes", /not needed/],
    ["[rpcinterface:supervisor]", "notes", /not needed/],
    ["[inet_http_server]", "lost", /does not listen/],
    ["[fcgi-program:x]", "lost", /not converted/],
    ["[eventlistener:x]", "lost", /not converted/],
    ["[ctlplugin:x]", "lost", /not converted/],
    ["[progam:x]", "notes", /no such section/],
    ["[constructor]", "notes", /no such section/],
    ["[supervisord]\nlogfile=x\npidfile=y", "notes", /not needed here: logfile, pidfile$/],
    ["[supervisord]\nstrip_ansi=true", "lost", /strip_ansi/],
    ["[supervisord]\nnonsense=1", "notes", /nonsense: supervisord has no such option/],
    ["[program:x]\ncommand=x\nnice=5", "notes", /x: nice: supervisord has no such option/],
    [
      "[program:x]\ncommand=x %(ENV_X)s",
      "notes",
      /x: command: %\(ENV_X\)s stands for what X is now/,
    ],
    ["[program:x]\ncommand=x\nnumprocs=0", "notes", /x: numprocs: no process/],
    ["[group:x]\npriority=1", "lost", /\[group:x\]: priority/],
    [
      "[program:x]\ncommand=x %(process_num)d\nnumprocs=10001\nprocess_name=%(process_num)d",
      "lost",
      /10000/,
    ],
  ];
  test.each(sections)("%j: %s", (section, kind, pattern) => {
    const found = convert(`${section}\n`);
    expect([...found.lost, ...found.notes].length).toBe(1);
    expect(found[kind][0]).toMatch(pattern);
  });

  test("a variable that the file sets is no matter of the environment", () => {
    const text = "[supervisord]\nenvironment=X=z\n[program:x]\ncommand=x %(ENV_X)s\n";
    expect(convert(text).notes).toEqual([]);
  });
});

describe("names", () => {
  const names = (...lines: string[]) => Object.keys(convert(`${lines.join("\n")}\n`).services);
  const program = (name: string, ...lines: string[]) =>
    [`[program:${name}]`, "command=x", ...lines].join("\n");

  test("of programs, of several processes, of groups", () => {
    expect(names(program("web"))).toEqual(["web"]);
    const several = ["numprocs=2", "numprocs_start=1"];
    expect(
      names(program("w", ...several, "process_name=%(program_name)s_%(process_num)02d")),
    ).toEqual(["w_01", "w_02"]);
    expect(names(program("w", ...several, "process_name=%(process_num)d"))).toEqual(["w.1", "w.2"]);
    expect(names("[group:g]\nprograms=web", program("web"), program("db"))).toEqual([
      "g.web",
      "db",
    ]);
  });

  test.each([
    ["pid", "%pid"],
    [".x", "%2Ex"],
    ["a'b", "a%27b"],
    ["\xc3\xbc", "\xc3\xbc"],
  ])("%s is %s", (name, wanted) => {
    expect(names(program(name))).toEqual([wanted]);
  });
});

/** Lines of any kind, with values that are not what one expects. */
function hostileFile(random: Random): string {
  const odd = () => random.bytes(random.below(10), "ab '\"\\$`;#%&|<>()*?~!\xe9\xff\x01=,/-0");
  const options = ["command", "directory", "user", "stdout_logfile", "stderr_logfile"] as const;
  const values = ["process_name", "environment", "umask", "exitcodes", "stopsignal"] as const;
  const lines = ["[supervisord]"];
  for (let n = random.below(5); n > 0; n--) {
    lines.push(`[program:${odd()}${n}]`, `command=x ${odd()}`, `environment=A${odd()}="${odd()}"`);
    for (let m = random.below(6); m > 0; m--) {
      const name = random.pick([...options, ...values]);
      lines.push(random.chance(0.1) ? odd() : `${name}=${odd()}`);
    }
    if (random.chance(0.5)) lines.push("stopasgroup=true", "exitcodes=0,1,2");
    if (random.chance(0.3)) lines.push("numprocs=2", "process_name=%(process_num)d");
  }
  return `${lines.join("\n")}\n`;
}

test(`any configuration is converted, or told why not (SEED=${seed})`, () => {
  const random = new Random(seed);
  const scripts: string[] = [];
  for (let i = 0; i < 2_000; i++) {
    const { services, lost } = convert(hostileFile(random));
    for (const line of lost) expect(line).toMatch(/^\d+: /);
    for (const files of Object.values(services)) {
      expect(Object.keys(files)).toContain("run");
      scripts.push(
        ...Object.entries(files).flatMap(([, file]) => (file.mode & 0o100 ? [file.text] : [])),
      );
    }
  }
  expect(scripts.length).toBeGreaterThan(1_000);
  // Each in a function of its own: a quote that is not closed would be found in the last.
  const all = scripts.map((script, i) => `f${i}() {\n${script}}\n`).join("");
  const { exitCode, stderr } = Bun.spawnSync(["sh", "-n"], { stdin: Buffer.from(all, "latin1") });
  expect([exitCode, `${stderr}`]).toEqual([0, ""]);
});
