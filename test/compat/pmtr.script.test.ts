/** How a job becomes a service directory: names, and run scripts that are run by sh here. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Job, PLAIN_JOB } from "../../src/compat/pmtr/config.ts";
import { encodeName } from "../../src/compat/pmtr/names.ts";
import { type Context, runScript, serviceFiles } from "../../src/compat/pmtr/script.ts";
import { isServiceName } from "../../src/rundir.ts";
import { raw } from "../lib/files.ts";
import { anyWord } from "../unit/pmtr-config.ts";
import { chooseSeed, Random } from "../unit/random.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const dir = scratchDirectory();
const seed = chooseSeed();
const CONTEXT: Context = { chpst: ["/opt/a b/chpst"], cwd: "/", inherit: false };

/** Writes down its arguments, its directory and what it reads. */
const SHOW = `${dir}/show`;
writeFileSync(
  SHOW,
  `#!/bin/sh
{ printf '%s\\0' "$@"; } >'${dir}/args'
pwd -P >'${dir}/cwd'
cat >'${dir}/input'
echo to out
echo to err >&2
`,
  { mode: 0o755 },
);

/** Runs the script of a job as the supervisor does; what the program had. */
function run(job: Partial<Job>, context: Partial<Context> = {}) {
  const script = runScript({ ...PLAIN_JOB, name: "x", ...job }, { ...CONTEXT, ...context });
  writeFileSync(`${dir}/run`, raw(script));
  const { exitCode, stdout, stderr } = Bun.spawnSync(["/bin/sh", "./run"], {
    cwd: dir,
    stdin: "ignore",
  });
  const read = (file: string) => readFileSync(`${dir}/${file}`, "latin1");
  return {
    exitCode,
    args: read("args").split("\0").slice(0, -1),
    cwd: read("cwd").trimEnd(),
    input: read("input"),
    said: `${stdout}${stderr}`,
  };
}

describe("run", () => {
  const words: [string, string][] = [
    ["blanks", " a  b "],
    ["quotes", `'"'"`],
    ["a dollar sign", "$HOME $x $(id) `id`"],
    ["a line end", "a\nb\n"],
    ["a leading dash", "-rf"],
    ["wildcards", "* ? [a]"],
    ["a backslash", "\\ \\n \\\\"],
    ["nothing", ""],
    ["a tilde and braces", "~ {a,b}"],
    ["an assignment", "A=b"],
    ["bytes that are no UTF-8", "\xff\xfe"],
  ];
  test.each(words)("an argument with %s arrives as written", (_, word) => {
    expect(run({ cmd: [SHOW, word, "x"] }).args).toEqual([word, "x"]);
  });

  test(`random arguments arrive as written (SEED=${seed})`, () => {
    const random = new Random(seed);
    const args = Array.from({ length: 300 }, () => anyWord(random));
    expect(run({ cmd: [SHOW, ...args] }).args).toEqual(args);
  });

  test.each(words)("a name with %s does no harm", (_, name) => {
    expect(run({ name: `x${name}`, cmd: [SHOW] })).toMatchObject({ exitCode: 0, said: "" });
  });

  test.each(words)("dir, in, out and err may have %s", (_, word) => {
    const odd = `x${word}`;
    mkdirSync(raw(`${dir}/${odd}`) as unknown as string, { recursive: true });
    const place = (file: string) => raw(`${dir}/${odd}/${file}`);
    for (const file of ["out", "err"]) writeFileSync(place(`${odd}.${file}`), "before\n");
    writeFileSync(place(`${odd}.in`), "input");
    const files = { in: `${odd}.in`, out: `${odd}.out`, err: `${odd}.err` };
    const found = run({ cmd: [SHOW], dir: `${dir}/${odd}`, ...files });
    expect(found).toMatchObject({ exitCode: 0, input: "input", said: "" });
    expect(readFileSync(place(`${odd}.out`), "latin1")).toBe("before\nto out\n");
    expect(readFileSync(place(`${odd}.err`), "latin1")).toBe("before\nto err\n");
  });

  test("what it does not mention is /dev/null, and it runs where pmtr does", () => {
    expect(run({ cmd: [SHOW] }, { cwd: "/usr" })).toMatchObject({
      exitCode: 0,
      cwd: "/usr",
      input: "",
      said: "",
    });
  });

  test("what it does not mention is inherited where that is asked for", () => {
    expect(run({ cmd: [SHOW] }, { inherit: true }).said).toBe("to out\nto err\n");
    expect(run({ cmd: [SHOW], out: "/dev/null" }, { inherit: true }).said).toBe("to err\n");
  });

  test("a directory that is not there is told, and it is not run", () => {
    const found = run({ cmd: [SHOW, "not run"], dir: "/nonexistent" });
    expect(found.exitCode).not.toBe(0);
    expect(found.said).toContain("/nonexistent");
    expect(found.args).not.toContain("not run");
  });

  test("what sh cannot do is left to chpst, which opens standard error", () => {
    const job: Job = {
      ...PLAIN_JOB,
      name: "x",
      cmd: ["/x", "-y"],
      env: ["A=b c"],
      ulimits: [
        { flag: "n", value: "30" },
        { flag: "c", value: "infinity" },
      ],
      cpu: "0,2-3",
      nice: -5,
      user: "me",
      err: "-log",
    };
    expect(runScript(job, CONTEXT).split("\n").slice(-2)).toEqual([
      "exec '/opt/a b/chpst' --env 'A=b c' --ulimit n=30B:30B --ulimit c=infinity:infinity " +
        "--cpu 0,2-3 --nice -5 -u me --stderr -log /x -y </dev/null >/dev/null",
      "",
    ]);
    expect(runScript({ ...job, err: null }, CONTEXT)).toContain(" --stderr /dev/null /x -y ");
  });

  test("a plain job needs none", () => {
    expect(runScript({ ...PLAIN_JOB, name: "x", cmd: ["/x"] }, CONTEXT)).not.toContain("chpst");
  });
});

describe("the files beside it", () => {
  const filesOf = (job: Partial<Job>) => {
    const files = serviceFiles({ ...PLAIN_JOB, name: "x", cmd: ["/x"], ...job }, CONTEXT);
    return Object.fromEntries(Object.entries(files).map(([name, { text }]) => [name, text]));
  };

  test("say when it is started again, and when it is killed", () => {
    expect(filesOf({})).toMatchObject({
      restart: "unless 33\n",
      "restart-delay": "10 10\n",
      "stop-timeout": "5\n",
    });
  });

  test("once: never again", () => {
    expect(filesOf({ once: true }).restart).toBe("never\n");
  });
});

describe("names", () => {
  test.each([
    ["web", "web"],
    ["a b", "a%20b"],
    ["a/b", "a%2Fb"],
    ["pid", "%pid"],
    [".x", "%2Ex"],
    ["-x", "%2Dx"],
    ["50%", "50%25"],
    ["a: b", "a%3A%20b"],
    ["b\xc3\xbccher", "b\xc3\xbccher"],
  ])("%j is %s", (name, expected) => {
    expect(encodeName(name)).toBe(expected);
  });

  test(`any text has a name of its own that fits (SEED=${seed})`, () => {
    const random = new Random(seed);
    const names = new Set(["", ".", "..", "pid", "%pid", "x".repeat(500), `${"x".repeat(500)}y`]);
    for (let i = 0; i < 2_000; i++) names.add(anyWord(random));
    const encoded = [...names].map(encodeName);
    for (const name of encoded) {
      expect(isServiceName(name) && name.length <= 250 && !/[ \n:'"]/.test(name)).toBeTrue();
    }
    expect(new Set(encoded).size).toBe(names.size);
  });
});
