/** SYSDIR as root: nothing is run that somebody else could have put there, or could change. */
import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, lchownSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { SysDir, whyNotProgram } from "../src/sysdir.ts";
import { makeDirectory, write } from "./lib/files.ts";
import { isRoot, scratchDirectory, unprivileged } from "./unit/scratch.ts";

const parent = scratchDirectory();
const top = `${parent}/top`;
const dir = `${top}/services`;
const NOBODY = 65534;

const theirs = (path: string) => lchownSync(path, NOBODY, NOBODY);
const open = (path: string) => chmodSync(path, 0o777);
const program = (path: string) => write(path, "#!/bin/sh\n", 0o755);

beforeEach(() => {
  rmSync(top, { recursive: true, force: true });
  makeDirectory(dir);
  program(`${dir}/web`);
});

function reason(name: string): string | null {
  const found = new SysDir(dir).inspect(name);
  return "reason" in found ? found.reason : null;
}

function problems(name: string): readonly string[] {
  const found = new SysDir(dir).inspect(name);
  return "reason" in found ? [found.reason] : found.problems;
}

/** Why its finish and its control/t are not run. */
function programs(name: string): (string | null)[] {
  return ["finish", "control/t"].map((file) => {
    const found = new SysDir(dir).inspectProgram(name, file);
    return "reason" in found ? found.reason : null;
  });
}

/** A service directory db, all of which are links into another directory, which is returned. */
function makePrograms(): string {
  const home = `${top}/home`;
  makeDirectory(home);
  program(`${home}/program`);
  write(`${home}/stop-signal`, "HUP\n");
  for (const sub of ["control", "log"]) makeDirectory(`${dir}/db/${sub}`);
  for (const file of ["run", "finish", "check", "control/t", "log/run"])
    symlinkSync(`${home}/program`, `${dir}/db/${file}`);
  symlinkSync(`${home}/stop-signal`, `${dir}/db/stop-signal`);
  return home;
}

function whole(path = dir): string | null {
  const names = new SysDir(path).names();
  return Array.isArray(names) ? null : names.reason;
}

describe.if(isRoot)("an entry", () => {
  test("of root that only root may write is run", () => {
    chmodSync(`${dir}/web`, 0o775);
    expect(reason("web")).toBeNull();
  });

  test.each<[string, (path: string) => void, string]>([
    ["that belongs to somebody else", theirs, "insecure: it belongs to uid 65534"],
    ["that anybody may write", open, "insecure: anybody may write it"],
  ])("%s is not run, be it a file, a directory or what a link leads to", (_, spoil, why) => {
    makeDirectory(`${dir}/db`);
    program(`${dir}/db/run`);
    program(`${top}/far`);
    symlinkSync("../far", `${dir}/link`);
    for (const path of [`${dir}/web`, `${dir}/db`, `${top}/far`]) spoil(path);
    expect(["web", "db", "link"].map(reason)).toEqual([why, why, why]);
  });

  test("that is a link of somebody else is not run", () => {
    program(`${top}/far`);
    symlinkSync("../far", `${dir}/link`);
    expect(reason("link")).toBeNull();
    theirs(`${dir}/link`);
    expect(reason("link")).toBe("insecure: it belongs to uid 65534");
  });

  test("that is a directory is not run if its run is not ours", () => {
    makeDirectory(`${dir}/db`);
    program(`${dir}/db/run`);
    open(`${dir}/db/run`);
    expect(reason("db")).toBe("insecure: run: anybody may write it");
    chmodSync(`${dir}/db/run`, 0o755);
    theirs(`${dir}/db/run`);
    expect(reason("db")).toBe("insecure: run: it belongs to uid 65534");
  });

  test("that is a directory may have its programs elsewhere, if they are root's all the way", () => {
    const home = makePrograms();
    expect([reason("db"), problems("db"), ...programs("db")]).toEqual([null, [], null, null]);
    theirs(home);
    const why = `${home}: it belongs to uid 65534`;
    expect([reason("db"), ...programs("db")]).toEqual([
      `insecure: run: ${why}`,
      `finish: ${why}`,
      `control/t: ${why}`,
    ]);
    expect(reason("db/log")).toBe(`insecure: run: ${why}`);
    rmSync(`${dir}/db/run`);
    program(`${dir}/db/run`);
    expect([reason("db"), problems("db")]).toEqual([
      null,
      [`insecure: stop-signal: ${why}`, `check: ${why}`, `finish: ${why}`],
    ]);
  });

  test("that is a directory has no programs behind links of somebody else", () => {
    makePrograms();
    for (const file of ["run", "finish", "control/t", "log/run"]) theirs(`${dir}/db/${file}`);
    const why = (file: string) => `${dir}/db/${file}: it belongs to uid 65534`;
    expect([reason("db"), reason("db/log"), ...programs("db")]).toEqual([
      `insecure: run: ${why("run")}`,
      `insecure: run: ${why("log/run")}`,
      `finish: ${why("finish")}`,
      `control/t: ${why("control/t")}`,
    ]);
  });

  test("that is a directory may have its control elsewhere, if that is root's all the way", () => {
    makePrograms();
    const home = `${top}/other`;
    makeDirectory(`${home}/control`);
    program(`${home}/control/t`);
    rmSync(`${dir}/db/control`, { recursive: true });
    symlinkSync(`${home}/control`, `${dir}/db/control`);
    expect(programs("db")).toEqual([null, null]);
    theirs(`${home}/control`);
    expect(programs("db")).toEqual([null, "control/t: it belongs to uid 65534"]);
    lchownSync(`${home}/control`, 0, 0);
    theirs(home);
    expect(programs("db")).toEqual([null, `control/t: ${home}: it belongs to uid 65534`]);
  });

  test("in a directory with the sticky bit is no better", () => {
    makeDirectory(`${dir}/db`, 0o1777);
    program(`${dir}/db/run`);
    expect(reason("db")).toBe("insecure: anybody may write it");
  });
});

describe.if(isRoot)("SYSDIR", () => {
  test("of root, below directories of root, is read", () => {
    expect(whole()).toBeNull();
  });

  test.each([0o777, 0o1777, 0o757])("of mode %o is not read", (mode) => {
    chmodSync(dir, mode);
    expect(whole()).toBe("insecure: anybody may write it");
  });

  test("of somebody else is not read", () => {
    theirs(dir);
    expect(whole()).toBe("insecure: it belongs to uid 65534");
  });

  test("below a directory that anybody may write is not read", () => {
    open(top);
    expect(whole()).toBe(`insecure: ${top}: anybody may write it`);
  });

  test("below a directory of somebody else is not read, sticky or not", () => {
    theirs(top);
    expect(whole()).toBe(`insecure: ${top}: it belongs to uid 65534`);
    chmodSync(top, 0o1777);
    chownSync(top, NOBODY, NOBODY);
    expect(whole()).toBe(`insecure: ${top}: it belongs to uid 65534`);
  });

  test("below root's directory with the sticky bit is read: /tmp is one", () => {
    chmodSync(top, 0o1777);
    expect(whole()).toBeNull();
  });

  test("behind a link is judged by where that leads", () => {
    makeDirectory(`${parent}/elsewhere`);
    symlinkSync(dir, `${parent}/elsewhere/now`);
    expect(whole(`${parent}/elsewhere/now`)).toBeNull();
    open(top);
    expect(whole(`${parent}/elsewhere/now`)).toBe(`insecure: ${top}: anybody may write it`);
    rmSync(`${parent}/elsewhere`, { recursive: true });
  });

  test("behind a link in a directory that anybody may write is not read", () => {
    makeDirectory(`${top}/open`, 0o777);
    symlinkSync(dir, `${top}/open/now`);
    symlinkSync("open/now", `${top}/link`);
    expect(whole(`${top}/link`)).toStartWith("insecure: ");
  });

  test("behind a link of somebody else is not read", () => {
    makeDirectory(`${top}/sticky`, 0o1777);
    symlinkSync(dir, `${top}/sticky/now`);
    expect(whole(`${top}/sticky/now`)).toBeNull();
    theirs(`${top}/sticky/now`);
    expect(whole(`${top}/sticky/now`)).toStartWith("insecure: ");
  });
});

test("a binary that we are to become must be an executable file, and root's if we are root", () => {
  expect(whyNotProgram(`${dir}/web`)).toBeNull();
  expect(whyNotProgram(`${dir}/none`)).toBe("No such file or directory");
  expect(whyNotProgram(dir)).toBe("not a file");
  chmodSync(`${dir}/web`, 0o644);
  expect(whyNotProgram(`${dir}/web`)).toBe("not executable");
  chmodSync(`${dir}/web`, 0o777);
  expect(whyNotProgram(`${dir}/web`)).toBe(isRoot ? "anybody may write it" : null);
});

test("from what others may write no finish or control script is run, either", () => {
  const home = `${dir}/job`;
  for (const path of [home, `${home}/control`]) makeDirectory(path);
  for (const file of ["run", "finish", "control/t"]) program(`${home}/${file}`);
  expect(programs("job")).toEqual([null, null]);
  if (!isRoot) return;
  chmodSync(home, 0o777);
  expect(programs("job").map((why) => why?.replace(/:.*/, ""))).toEqual(["insecure", "insecure"]);
});

test("without root's rights everything is run that can be", () => {
  chmodSync(`${dir}/web`, 0o777);
  mkdirSync(`${dir}/db`);
  program(`${dir}/db/run`);
  chmodSync(dir, 0o777);
  const found = unprivileged(() => [reason("web"), reason("db"), whole()]);
  expect(found).toEqual([null, null, null]);
});
