/** chpst: the long options, which are ours. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { ours, runIn, Workplaces } from "../lib/chain.ts";
import { kill } from "../lib/processes.ts";
import { isRoot } from "../unit/scratch.ts";

const { ours: cwd } = new Workplaces((directory) => {
  mkdirSync(`${directory}/sub`);
  writeFileSync(`${directory}/input`, "what is read\n");
  mkdirSync(`${directory}/env`);
  writeFileSync(`${directory}/env/A`, "of the directory");
  writeFileSync(`${directory}/env/B`, "of the directory");
});

const chpst = (...args: string[]) => runIn(cwd, ours("chpst"), { args });
const sh = (...args: string[]) => chpst(...args.slice(0, -1), "sh", "-c", args.at(-1) ?? "");
const status = async (field: string, ...args: string[]) => {
  const { out, err } = await chpst(...args, "cat", "/proc/self/status");
  return out.match(new RegExp(`^${field}:\\s*(.*)$`, "m"))?.[1] ?? err;
};

test("--chdir, before files are opened", async () => {
  const { out } = await sh("--chdir", "sub", "--stdout=here", "pwd");
  expect(out).toBe("");
  expect(readFileSync(`${cwd}/sub/here`, "utf8")).toBe(`${cwd}/sub\n`);
  expect(await chpst("--chdir", "nowhere", "true")).toEqual({
    code: 111,
    out: "",
    err: "chpst: fatal: unable to change directory: nowhere: file does not exist\n",
  });
});

test("--stdin, --stdout and --stderr: files that are appended to, with their usual mode", async () => {
  for (const word of ["one", "two"]) {
    await sh(
      "--stdin",
      "input",
      "--stdout",
      "o",
      "--stderr",
      "e",
      "--umask",
      "027",
      `cat; echo ${word} >&2`,
    );
  }
  expect(readFileSync(`${cwd}/o`, "utf8")).toBe("what is read\n".repeat(2));
  expect(readFileSync(`${cwd}/e`, "utf8")).toBe("one\ntwo\n");
  expect(statSync(`${cwd}/o`).mode & 0o777).toBe(0o640);
  const { code, err } = await chpst("--stdin", "nowhere", "true");
  expect([code, err]).toEqual([
    111,
    "chpst: fatal: unable to open: nowhere: file does not exist\n",
  ]);
});

test("trouble after --stderr is told there", async () => {
  const { code, err } = await chpst("--stderr", "trouble", "no-such-program");
  expect([code, err]).toEqual([111, ""]);
  expect(readFileSync(`${cwd}/trouble`, "utf8")).toBe(
    "chpst: fatal: unable to run: no-such-program: file does not exist\n",
  );
});

test("--env and --clear-env, with -e and -U", async () => {
  const options = ["--clear-env", "--env", "A=1", "-e", "env", "-U", "root", "--env=C=a=b "];
  expect((await chpst(...options, "/usr/bin/env")).out).toBe(
    "B=of the directory\nA=1\nC=a=b \nGID=0\nUID=0\n",
  );
  expect((await chpst("--clear-env", "env")).out).toBe("");
});

describe("--ulimit", () => {
  const units: [flag: string, name: string, unit: number][] = [
    ["R", "realtime timeout", 1],
    ["c", "core file size", 1024],
    ["d", "data size", 1024],
    ["f", "file size", 1024],
    ["i", "pending signals", 1],
    ["l", "locked memory", 1024],
    ["m", "resident set", 1024],
    ["n", "open files", 1],
    ["q", "msgqueue size", 1],
    ["s", "stack size", 1024],
    ["t", "cpu time", 1],
    ["u", "processes", 1],
    ["v", "address space", 1024],
    ["x", "file locks", 1],
  ];
  const limit = async (name: string, ...args: string[]) => {
    const { out, err } = await chpst(...args, "cat", "/proc/self/limits");
    return out.match(new RegExp(`^Max ${name} +(\\S+) +(\\S+)`, "m"))?.slice(1) ?? err;
  };

  test.each(units)("-%s: both limits, or each its own", async (flag, name, unit) => {
    const number = (n: number) => String(n * unit);
    const [few, many] = flag === "v" ? [90_000, 100_000] : [4_000, 5_000];
    expect(await limit(name, "--ulimit", `${flag}=${many}`)).toEqual([number(many), number(many)]);
    expect(await limit(name, "--ulimit", `${flag}=${few}:${many}`)).toEqual([
      number(few),
      number(many),
    ]);
  });

  const CAP_SYS_RESOURCE = 1n << 24n;
  const capabilities = readFileSync("/proc/self/status", "utf8").match(/CapEff:\s*(\w+)/)?.[1];
  const mayRaise = (BigInt(`0x${capabilities}`) & CAP_SYS_RESOURCE) !== 0n;

  test.skipIf(!mayRaise)("raises a hard limit before the user changes", async () => {
    const lowered = ["--ulimit", "n=500", ours("chpst"), "-u", "nobody", "--ulimit", "n=600:700"];
    expect(await limit("open files", ...lowered)).toEqual(["600", "700"]);
  });

  test.skipIf(!isRoot)("cannot raise it afterwards", async () => {
    const chain = ["-u", "nobody", "--ulimit", "n=100", ours("chpst"), "--ulimit", "n=200", "true"];
    expect((await chpst(...chain)).err).toBe(
      "chpst: fatal: unable to setrlimit(): permission denied\n",
    );
  });

  test("-o comes after it", async () => {
    expect(await limit("open files", "-o", "50", "--ulimit", "n=60")).toEqual(["50", "60"]);
    expect(await limit("open files", "-o", "70", "--ulimit", "n=60")).toEqual(["60", "60"]);
  });
});

test("--cpu: a list or a mask", async () => {
  expect(await status("Cpus_allowed_list", "--cpu", "0")).toBe("0");
  expect(await status("Cpus_allowed_list", "--cpu", "0x1")).toBe("0");
  const all = await status("Cpus_allowed_list", "--nice", "0");
  expect(await status("Cpus_allowed_list", "--cpu", "0-500,7")).toBe(all);
  expect(await status("Name", "--cpu", "7000")).toBe(
    "chpst: fatal: unable to set processors: invalid argument\n",
  );
});

test("--nice is -n, --user is -u", async () => {
  expect((await chpst("--nice", "+3", "nice")).out).toBe((await chpst("-n", "3", "nice")).out);
  const groups = ["daemon:bin:sys", "id"] as const;
  expect(await chpst("--user", ...groups)).toEqual(await chpst("-u", ...groups));
});

test("--new-session", async () => {
  const { out } = await sh("--new-session", "ps -o pid= -o sid= -p $$");
  const [pid, session] = out.trim().split(/\s+/);
  expect(session).toBe(pid);
  const leader = { args: ["--new-session", "true"], wrapper: ["setsid"] };
  expect((await runIn(cwd, ours("chpst"), leader)).code).toBe(0);
});

test("--no-new-privs", async () => {
  expect(await status("NoNewPrivs", "--no-new-privs")).toBe("1");
});

test("--umask", async () => {
  expect((await sh("--umask", "0137", "umask")).out).toBe("0137\n");
});

test("--parent-death-signal: the program ends with who started it", async () => {
  const script = `"$0" --parent-death-signal SIGKILL -u root sh -c 'echo $$; exec sleep 60' & read x`;
  const parent = Bun.spawn(["sh", "-c", script, ours("chpst")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const reader = parent.stdout.getReader();
  const { value } = await reader.read();
  const pid = Number(Buffer.from(value ?? "").toString());
  expect(pid).toBeGreaterThan(1);
  kill(parent.pid, "SIGKILL");
  // Its standard output ends with it.
  expect((await reader.read()).done).toBeTrue();
  await parent.exited;
});

test("--max-runtime: SIGALRM", async () => {
  const child = Bun.spawn([ours("chpst"), "--max-runtime", "1", "sleep", "60"]);
  await child.exited;
  expect(child.signalCode).toBe("SIGALRM");
});

describe("wrong usage", () => {
  test.each([
    ["--no-such-option", "illegal option -- no-such-option"],
    ["--clear-env=yes", "illegal option -- clear-env"],
    ["--chdir", "option requires an argument -- chdir"],
    ["--env=NAME", "--env: not NAME=VALUE: NAME"],
    ["--env==x", "--env: not NAME=VALUE: =x"],
    ["--umask=8", "--umask: not octal: 8"],
    ["--cpu=", "--cpu: not a list of processors: "],
    ["--cpu=3-1", "--cpu: not a list of processors: 3-1"],
    ["--cpu=0x0", "--cpu: not a list of processors: 0x0"],
    ["--ulimit=n", "--ulimit: not FLAG=SOFT[:HARD]: n"],
    ["--ulimit=z=1", "--ulimit: not FLAG=SOFT[:HARD]: z=1"],
    ["--ulimit=n=2:1", "--ulimit: not FLAG=SOFT[:HARD]: n=2:1"],
    ["--ulimit=c=99999999999999999999", "--ulimit: not FLAG=SOFT[:HARD]: c=99999999999999999999"],
    ["--max-runtime=0", "--max-runtime: not a number of seconds: 0"],
    ["--parent-death-signal=NO", "--parent-death-signal: not a signal: NO"],
  ])("%s", async (option, message) => {
    const { code, out, err } = await chpst(option);
    expect([code, out, err.split("\n")[0]]).toEqual([100, "", `chpst: ${message}`]);
    expect(err).toContain("usage: chpst [-vVP012]");
  });

  test("-V: the version, on standard error", async () => {
    const { code, err } = await chpst("-V", "true");
    expect([code, err.split("\n")[0]]).toEqual([100, "chpst 0.1.0"]);
  });
});

test("--help prints the usage", async () => {
  const { code, out } = await chpst("--help");
  expect([code, out.split("\n")[0]]).toEqual([0, "usage: chpst [OPTION ...] PROGRAM [ARG ...]"]);
});
