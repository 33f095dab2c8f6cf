/** SYSDIR: which services there are, how each is started, or why it cannot be. */
import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { JobSource } from "../src/compat/pmtr/store.ts";
import { ProgramSource } from "../src/compat/procmgr/services.ts";
import { E } from "../src/libc.ts";
import { PLAIN } from "../src/settings.ts";
import { explainSpawn, isPassing, SysDir } from "../src/sysdir.ts";
import { link, makeDirectory, remove, rename, write } from "./lib/files.ts";
import { outputOf, script, spawn } from "./unit/child.ts";
import {
  isRoot,
  makeFifo,
  scratchDirectory,
  unprivileged,
  withoutDescriptors,
} from "./unit/scratch.ts";

const parent = scratchDirectory();
const dir = `${parent}/services`;
const sysdir = new SysDir(dir);

const program = (path: string) => write(path, "#!/bin/sh\n", 0o755);

beforeEach(() => {
  remove(dir);
  makeDirectory(dir);
});

describe("the names of services", () => {
  test("are those of its entries, byte for byte, but hidden ones", () => {
    const names = ["web", "a b", "a\nb", "-rf", "\xff\xfe", "x".repeat(255)];
    for (const name of [...names, ".hidden", "..a"]) write(`${dir}/${name}`, "");
    expect(sysdir.names()).toEqual(expect.arrayContaining(names));
    expect(sysdir.names()).toHaveLength(names.length);
  });

  test("are of a path of any bytes", () => {
    const odd = `${dir}/caf\xe9\n`;
    makeDirectory(odd);
    write(`${odd}/web`, "");
    expect(new SysDir(odd).names()).toEqual(["web"]);
    expect(new SysDir(odd).has("web")).toBeTrue();
  });

  test("are all of them, also of many", () => {
    for (let i = 0; i < 3_000; i++) write(`${dir}/service${i}`, "");
    const names = sysdir.names();
    expect(new Set(Array.isArray(names) ? names : []).size).toBe(3_000);
  });

  test("cannot be told of what is no directory, and why is said", () => {
    program(`${dir}/web`);
    const reason = (path: string) => {
      const names = new SysDir(path).names();
      return Array.isArray(names) ? names : names.reason;
    };
    expect(reason(`${dir}/none`)).toBe("No such file or directory");
    expect(reason(`${dir}/web`)).toBe("Not a directory");
    expect(reason(`${dir}/web/x`)).toBe("Not a directory");
    symlinkSync("loop", `${dir}/loop`);
    expect(reason(`${dir}/loop`)).toBe("Too many levels of symbolic links");
    expect(reason(`/${"x".repeat(5_000)}`)).toBe("File name too long");
  });

  test("cannot be told where we may not read", () => {
    makeDirectory(`${dir}/closed`, 0);
    const closed = new SysDir(`${dir}/closed`);
    const told = unprivileged(() => [closed.names(), closed.has("web"), closed.inspect("web")]);
    makeDirectory(`${dir}/closed`);
    expect(told).toEqual([{ reason: "Permission denied" }, true, { reason: "Permission denied" }]);
  });

  test("are those behind a link, also after that was swapped", () => {
    mkdirSync(`${dir}/a`);
    mkdirSync(`${dir}/b`);
    program(`${dir}/a/web`);
    symlinkSync("a", `${dir}/now`);
    const linked = new SysDir(`${dir}/now`);
    expect(linked.names()).toEqual(["web"]);
    symlinkSync("b", `${dir}/next`);
    renameSync(`${dir}/next`, `${dir}/now`);
    expect(linked.names()).toEqual([]);
  });
});

test("an entry is there as long as something has its name, even a link to nothing", () => {
  program(`${dir}/web`);
  symlinkSync("nowhere", `${dir}/lost`);
  expect(["web", "lost", "none", ""].map((name) => sysdir.has(name))).toEqual([
    true,
    true,
    false,
    true,
  ]);
});

// What the scan of a file system that went away looks like: only with mounts of our own.
const mayMount = isRoot && Bun.spawnSync(["unshare", "-m", "true"]).exitCode === 0;

test.if(mayMount)("an unmounted SYSDIR has not lost its services", async () => {
  const { path = "", argv = [] } = script("unmount.ts", dir);
  const output = await outputOf(`${parent}/out`, {
    path: "/usr/bin/unshare",
    argv: ["unshare", "-m", path, ...argv.slice(1)],
  });
  expect(JSON.parse(output)).toEqual({
    before: ["under the mount"],
    mounted: ["web"],
    unmounted: ["under the mount"],
    empty: [],
    mountedAgain: ["db"],
    unmountedEmpty: { reason: "it is not mounted" },
    stillUnmounted: { reason: "it is not mounted" },
    mountedOnceMore: [],
  });
});

describe("an entry", () => {
  const plain = { settings: PLAIN, problems: [] };
  const start = (name: string) => ({ path: `${dir}/${name}`, argv: [`${dir}/${name}`], ...plain });
  const run = (path: string) => ({ path: "./run", argv: ["./run"], cwd: path, ...plain });

  test("that is an executable is started by its path", () => {
    program(`${dir}/web`);
    program(`${dir}/\xff\n`);
    expect(sysdir.inspect("web")).toEqual(start("web"));
    expect(sysdir.inspect("\xff\n")).toEqual(start("\xff\n"));
  });

  test("that is a link to one too, by the path of the link", () => {
    program(`${parent}/elsewhere`);
    link("../elsewhere", `${dir}/web`);
    link("web", `${dir}/db`);
    expect(sysdir.inspect("web")).toEqual(start("web"));
    expect(sysdir.inspect("db")).toEqual(start("db"));
  });

  test("that is a directory is started by its run, in that directory", () => {
    makeDirectory(`${dir}/web`);
    program(`${dir}/web/run`);
    link("web", `${dir}/db`);
    expect(sysdir.inspect("web")).toEqual(run(`${dir}/web`));
    expect(sysdir.inspect("db")).toEqual(run(`${dir}/db`));
    rename(`${dir}/web/run`, `${dir}/web/real`);
    link("real", `${dir}/web/run`);
    expect(sysdir.inspect("web")).toEqual(run(`${dir}/web`));
  });

  const paths: [string, () => void, string][] = [
    ["nothing", () => {}, "No such file or directory"],
    ["a file without x", () => write(`${dir}/web`, ""), "not executable"],
    ["a dangling link", () => symlinkSync("none", `${dir}/web`), "dangling link"],
    [
      "a link to itself",
      () => symlinkSync("web", `${dir}/web`),
      "Too many levels of symbolic links",
    ],
    ["a FIFO", () => makeFifo(`${dir}/web`), "neither a file nor a directory"],
    [
      "a link to a FIFO",
      () => symlinkSync(makeFifo(`${dir}/fifo`), `${dir}/web`),
      "neither a file nor a directory",
    ],
    ["an empty directory", () => mkdirSync(`${dir}/web`), "a directory without run"],
    ["run without x", () => mkdirSync(`${dir}/web/run`, { recursive: true }), "run is not a file"],
  ];
  test.each(paths)("that is %s cannot be started, and says so", (_, make, reason) => {
    make();
    expect(sysdir.inspect("web")).toEqual({ reason });
  });

  test("that is a directory says what is wrong with its run", () => {
    mkdirSync(`${dir}/web`);
    writeFileSync(`${dir}/web/run`, "");
    expect(sysdir.inspect("web")).toEqual({ reason: "run is not executable" });
    rmSync(`${dir}/web/run`);
    symlinkSync("none", `${dir}/web/run`);
    expect(sysdir.inspect("web")).toEqual({ reason: "a directory without run" });
  });

  test.each(["pid", ".hidden", "..", "", "a/b"])("of the name %j is never started", (name) => {
    program(`${dir}/pid`);
    expect(sysdir.inspect(name)).toEqual({ reason: "the name is reserved" });
  });
});

describe("the settings of a directory", () => {
  const unread = { reason: "stop-signal: Too many open files", passing: true };

  beforeEach(() => {
    makeDirectory(`${dir}/web`);
    program(`${dir}/web/run`);
  });

  test.each([SysDir, JobSource, ProgramSource])(
    "that cannot be read for want of a descriptor keep it from being started: %p",
    (Source) => {
      const source = new Source(dir);
      write(`${dir}/web/stop-signal`, "HUP\n");
      const look = () => [source.inspect("web"), source.settings("web").unread];
      expect(withoutDescriptors(look)).toEqual([unread, unread]);
      expect(source.inspect("web")).toMatchObject({ settings: { stopSignal: 1, unread: null } });
    },
  );

  test("that are not there need no descriptor, nor do programs", () => {
    program(`${dir}/web/finish`);
    const found = withoutDescriptors(() => sysdir.inspect("web"));
    expect(found).toMatchObject({ path: "./run", settings: { ...PLAIN, finish: true } });
  });

  test("that we may not read keep it from being started until that is changed", () => {
    write(`${dir}/web/restart`, "never\n");
    chmodSync(`${dir}/web/restart`, 0);
    const found = unprivileged(() => sysdir.inspect("web"));
    expect(found).toEqual({ reason: "restart: Permission denied", passing: false });
  });

  test("are empty where they are no files, and not there where they are links to nothing", () => {
    mkdirSync(`${dir}/web/down`);
    symlinkSync("none", `${dir}/web/essential`);
    expect(sysdir.settings("web")).toEqual({ ...PLAIN, down: true });
  });
});

describe("a start that fails", () => {
  /** Writes an entry, tries to start it, and says why that did not work. */
  function failure(text: string): string {
    write(`${dir}/web`, text, 0o755);
    const target = sysdir.inspect("web");
    if ("reason" in target) return target.reason;
    const code = spawn({ ...target });
    expect(code).toBeLessThan(0);
    return explainSpawn(target, code);
  }

  test.each([
    ["#!/no/such/thing\n", "no interpreter /no/such/thing"],
    ["#!  /no/such/thing  -x\n", "no interpreter /no/such/thing"],
    ["#!/bin/sh\r\n", "no interpreter /bin/sh\r"],
    [
      `#!/no/such/${"x".repeat(180)}\n${"y".repeat(1e6)}`,
      `no interpreter /no/such/${"x".repeat(180)}`,
    ],
  ])("names the interpreter that is missing: %#", (text, reason) => {
    expect(failure(text)).toBe(reason);
  });

  test("of a directory names its run's interpreter", () => {
    makeDirectory(`${dir}/web`);
    write(`${dir}/web/run`, "#!/no/such/thing\n", 0o755);
    const target = sysdir.inspect("web");
    if ("reason" in target) throw new Error(target.reason);
    expect(explainSpawn(target, -E.NOENT)).toBe("no interpreter /no/such/thing");
  });

  test("says what the kernel says where it knows no better", () => {
    const target = { path: `${dir}/none` };
    expect(explainSpawn(target, -E.NOENT)).toBe("No such file or directory");
    expect(explainSpawn(target, -E.ACCES)).toBe("Permission denied");
    expect(explainSpawn(target, -E.TXTBSY)).toBe("Text file busy");
    makeFifo(`${dir}/fifo`);
    expect(explainSpawn({ path: `${dir}/fifo` }, -E.NOENT)).toBe("No such file or directory");
  });

  test("may pass by itself, or not", () => {
    const passing = [E.TXTBSY, E.AGAIN, E.NOMEM, E.MFILE, E.NFILE].map((code) => isPassing(-code));
    expect(passing).toEqual(Array(5).fill(true));
    const lasting = [E.NOENT, E.ACCES, E.NOEXEC, E.LOOP, E.NOTDIR].map((code) => isPassing(-code));
    expect(lasting).toEqual(Array(5).fill(false));
  });
});
