/** sysmgr-import as a command: options, messages, exit status, and what it writes or does not. */
import { expect } from "bun:test";
import { chmodSync, statSync } from "node:fs";
import { VERSION } from "../config.ts";
import { AS_NOBODY } from "./lib/clients.ts";
import { exists, link, list, makeDirectory, read, write } from "./lib/files.ts";
import { BIN, type Outcome, type Sandbox } from "./lib/sandbox.ts";
import { have, scenario } from "./lib/scenario.ts";

const NAME = "sysmgr-import";
const PLAIN = "[supervisord]\n[program:web]\ncommand=/bin/x\n[program:db]\ncommand=/bin/y\n";

function conf(box: Sandbox, text: string, name = "s.conf"): string {
  const path = `${box.dir}/${name}`;
  write(path, text);
  return path;
}

const out = (box: Sandbox) => `${box.dir}/out`;

function run(box: Sandbox, ...args: string[]): Promise<Outcome> {
  return box.run([NAME, ...args], { cwd: box.dir });
}

/** Its options, the configuration, and DIR. */
const convert = (box: Sandbox, text: string, ...options: string[]) =>
  run(box, ...options, conf(box, text), out(box));

scenario("-h and -V", async (box) => {
  for (const option of ["-h", "--help"]) {
    const { code, out, err } = await run(box, option);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith(`usage: ${NAME} [-hVqn] supervisord.conf DIR\n`);
  }
  expect(await run(box, "-V")).toEqual({ code: 0, out: `${NAME} ${VERSION}\n`, err: "" });
});

scenario("wrong usage is 2", async (box) => {
  for (const args of [[], ["a"], ["a", "b", "c"], ["-x", "a", "b"], ["--nonsense", "a", "b"]]) {
    const { code, out, err } = await run(box, ...args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^sysmgr-import: .* \(sysmgr-import -h for help\)\n$/);
  }
});

scenario("all is written, and nothing is said", async (box) => {
  expect(await convert(box, PLAIN)).toEqual({ code: 0, out: "", err: "" });
  expect(list(out(box)).sort()).toEqual(["db", "web"]);
  expect(list(`${out(box)}/web`).sort()).toEqual(["log", "restart", "run", "stop-timeout"]);
  expect(statSync(`${out(box)}/web/run`).mode & 0o777).toBe(0o755);
  expect(read(`${out(box)}/web/log/main/config`)).toBe("s52428800\nn10\n");
});

scenario("-n writes nothing, and shows all", async (box) => {
  const { code, out: shown, err } = await convert(box, PLAIN, "-n");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(exists(out(box))).toBeFalse();
  await convert(box, PLAIN);
  for (const name of ["web/run", "db/run", "web/log/run", "web/stop-timeout", "db/restart"]) {
    const mode = name.endsWith("run") ? 755 : 644;
    const path = `${out(box)}/${name}`;
    expect(shown).toContain(`==> ${path} (${mode}) <==\n${read(path)}\n`);
  }
});

scenario("-q leaves out what is not needed, and not what is lost", async (box) => {
  const text = `[unix_http_server]\nfile=/x\n${PLAIN}priority=5\n`;
  const note = `${NAME}: ${box.dir}/s.conf:1: [unix_http_server]: not needed: svctl works by files\n`;
  const loud = await convert(box, text, "-n");
  expect(loud.code).toBe(3);
  expect(loud.err).toStartWith(note);
  const quiet = await convert(box, text, "-nq");
  expect(quiet.code).toBe(3);
  expect(quiet.err).toBe(loud.err.slice(note.length));
  expect(quiet.err).toStartWith(`${NAME}: ${box.dir}/s.conf:8: db: priority: `);
});

scenario("what is only not needed is 0", async (box) => {
  expect((await convert(box, `[supervisorctl]\n${PLAIN}`)).code).toBe(0);
});

scenario("all errors are told, in the order of the files, and nothing is written", async (box) => {
  makeDirectory(`${box.dir}/conf.d`);
  conf(box, "[program:z]\ncommand=x 'y\numask=9\n", "conf.d/z.conf");
  const text = [
    "nonsense",
    "[supervisord]",
    "umask=8",
    "[include]",
    "files=conf.d/*",
    "[program:web]",
    "command=/bin/x %(nothing)s",
    "stopsignal=NOSUCH",
    "[group:g]",
    "programs=none",
    "[program:db]",
    "",
  ];
  const { code, out: said, err } = await convert(box, text.join("\n"));
  expect({ code, said }).toEqual({ code: 1, said: "" });
  const lines = err.trimEnd().split("\n");
  expect(lines.map((line) => line.replace(`${NAME}: ${box.dir}/`, ""))).toEqual([
    "s.conf:1: neither a comment nor a [section]",
    "s.conf:3: [supervisord]: umask: not octal: 8",
    "s.conf:7: web: command: %(nothing)s: there is no such name here",
    "s.conf:8: web: stopsignal: not a signal: NOSUCH",
    "s.conf:10: [group:g]: programs: there is no program none",
    "s.conf:11: db: command: there is none",
    "conf.d/z.conf:2: z: command: a quote is not closed",
    "conf.d/z.conf:3: z: umask: not octal: 9",
  ]);
  expect(exists(out(box))).toBeFalse();
});

scenario("two services of one name are an error", async (box) => {
  const text =
    "[group:a]\nprograms=ab\n[program:ab]\ncommand=x\n[group:b]\nprograms=ab\n[program:b.ab]\ncommand=y\n";
  const { code, err } = await convert(box, text);
  expect(code).toBe(1);
  expect(err).toBe(
    `${NAME}: ${box.dir}/s.conf:7: b.ab: another service is called b.ab, too: that of ${box.dir}/s.conf:3\n`,
  );
  expect(exists(out(box))).toBeFalse();
});

scenario("what is there is not written over, whatever it is", async (box) => {
  makeDirectory(out(box));
  const there: Record<string, (path: string) => void> = {
    file: (path) => write(path, "mine"),
    empty: (path) => makeDirectory(path),
    link: (path) => link("/nonexistent", path),
  };
  for (const [name, make] of Object.entries(there)) make(`${out(box)}/${name}`);
  const programs = [...Object.keys(there), "fresh"].map((n) => `[program:${n}]\ncommand=x\n`);
  const wanted = Object.keys(there)
    .map((name) => `${NAME}: ${out(box)}/${name} is there: not written\n`)
    .join("");
  for (const option of ["-n", "-q"]) {
    const { code, err } = await convert(box, programs.join(""), option);
    expect({ code, err }).toEqual({ code: 3, err: wanted });
  }
  expect(list(out(box)).sort()).toEqual(["empty", "file", "fresh", "link"]);
  expect(read(`${out(box)}/file`)).toBe("mine");
  expect(list(`${out(box)}/empty`)).toEqual([]);
});

scenario("a second time only what is new is written", async (box) => {
  await convert(box, PLAIN);
  write(`${out(box)}/web/run`, "edited");
  const { code, err } = await convert(box, `${PLAIN}[program:new]\ncommand=/bin/z\n`);
  expect(code).toBe(3);
  expect(err.split("\n").length).toBe(3);
  expect(read(`${out(box)}/web/run`)).toBe("edited");
  expect(exists(`${out(box)}/new/run`)).toBeTrue();
});

scenario("files that cannot be read, directories that cannot be made", async (box) => {
  const fails = async (file: string, dir: string, message: string) => {
    expect(await run(box, file, dir)).toEqual({ code: 1, out: "", err: `${NAME}: ${message}\n` });
  };
  await fails("none", "out", "cannot read none: No such file or directory");
  await fails(".", "out", "cannot read .: not a file");
  conf(box, PLAIN);
  await fails("s.conf", "no/out", "cannot make no/out: No such file or directory");
  write(`${box.dir}/file`, "");
  const { code, err } = await run(box, "s.conf", "file");
  expect(code).toBe(1);
  expect(err).toMatch(/^sysmgr-import: cannot make file\/\.sysmgr-import\.\d+: Not a directory\n$/);
});

scenario(
  "without the right to write it leaves nothing",
  async (box) => {
    makeDirectory(out(box), 0o755);
    const command = [NAME, conf(box, PLAIN), out(box)];
    const { code, err } = await box.run(command, { wrapper: AS_NOBODY });
    expect(code).toBe(1);
    expect(err).toMatch(/: cannot make .*\/\.sysmgr-import\.\d+: Permission denied\n$/);
    expect(list(out(box))).toEqual([]);
  },
  have.setpriv,
);

scenario("an included file that cannot be read is an error", async (box) => {
  makeDirectory(`${box.dir}/conf.d/sub`);
  link("/nonexistent", `${box.dir}/conf.d/gone`);
  const { code, err } = await convert(box, `${PLAIN}[include]\nfiles=conf.d/*\n`);
  expect(code).toBe(1);
  expect(err).toBe(
    [
      `${NAME}: ${box.dir}/s.conf:7: [include]: cannot read ${box.dir}/conf.d/gone: No such file or directory`,
      `${NAME}: ${box.dir}/s.conf:7: [include]: ${box.dir}/conf.d/sub is not a file`,
      "",
    ].join("\n"),
  );
});

scenario(
  "a configuration that others may not read makes scripts that they may not read",
  async (box) => {
    const path = conf(box, PLAIN);
    chmodSync(path, 0o640);
    expect((await run(box, path, out(box))).code).toBe(0);
    expect(statSync(`${out(box)}/web/run`).mode & 0o777).toBe(0o700);
  },
);

scenario("chpst is called by its name where that is ours, else by its path", async (box) => {
  const text = "[program:web]\ncommand=/bin/x\n[supervisord]\nminfds=100\n";
  const line = async (PATH: string) => {
    const { out: shown } = await box.run([NAME, "-n", conf(box, text), out(box)], {
      env: { PATH },
    });
    return shown.match(/^exec (\S*chpst) /m)?.[1];
  };
  expect(await line(`${BIN}:/bin`)).toBe("chpst");
  expect(await line("/nonexistent")).toBe(`${BIN}/chpst`);
  write(`${box.dir}/chpst`, "#!/bin/sh\n", 0o755);
  expect(await line(`${box.dir}:${BIN}`)).toBe(`${BIN}/chpst`);
});

scenario("bytes in names and values are no trouble", async (box) => {
  const { code, err } = await convert(
    box,
    "[program:\xff'\x01]\ncommand=/bin/x '\xfe\x02'\nuser=\x1b[1m\n",
  );
  expect(code).toBe(3);
  const lines = [
    "1: \ufffd'\\x01: process_name: called \ufffd%27%01 here",
    "3: \ufffd'\\x01: user: there is no user \\x1b[1m here: which groups it is in is not known",
  ];
  expect(err).toBe(lines.map((line) => `${NAME}: ${box.dir}/s.conf:${line}\n`).join(""));
  expect(list(out(box))).toEqual(["\xff%27%01"]);
  expect(read(`${out(box)}/\xff%27%01/run`)).toContain("    /bin/x '\xfe\x02'\n");
});
