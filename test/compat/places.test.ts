/** Which service a path stands for, in all the places where supervisors may be. */
import { expect, test } from "bun:test";
import { symlinkSync, writeFileSync } from "node:fs";
import { Places } from "../../src/compat/places.ts";
import { loggerOf, RunDir } from "../../src/rundir.ts";
import { makeDirectory, write } from "../lib/files.ts";
import { makeFifo, scratchDirectory } from "../unit/scratch.ts";
import { status } from "./status.ts";

const dir = scratchDirectory();
let cases = 0;

/** A directory of its own for a test. */
function place(): string {
  const own = `${dir}/${cases++}`;
  makeDirectory(own);
  return own;
}

/** A RUNDIR that knows these services; we are its supervisor, if anybody is. */
function rundir(path: string, services: readonly string[], alive = true): RunDir {
  const made = RunDir.make(path);
  if (typeof made === "number") throw new Error(`cannot make ${path}: ${made}`);
  for (const name of services) {
    made.makeService(name);
    made.writeStatus(name, status());
  }
  if (alive) made.writeSupervisorPid();
  else write(`${path}/pid`, "2147483647\n");
  return made;
}

function found(path: string) {
  const at = new Places().find(path);
  return at && { rundir: at.rundir.path, name: at.name, sysdir: at.sysdir, single: at.single };
}

test("the scanner of the directory that it is in", () => {
  const own = place();
  makeDirectory(`${own}/web`);
  rundir(`${own}/.sysmgr`, ["web"]);
  const web = { rundir: `${own}/.sysmgr`, name: "web", sysdir: own, single: false };
  expect(found(`${own}/web`)).toEqual(web);
  expect(found(`${own}/web/`)).toEqual(web);
  expect(found(`${own}/web//`)).toEqual(web);
  expect(found(`${own}/web/.`)).toEqual(web);
  expect(found(`${own}/./web`)).toMatchObject({ name: "web" });
  expect(found(`${own}/web/../web/.`)).toEqual(web);
});

test("its .sysmgr may be a link", () => {
  const own = place();
  makeDirectory(`${own}/service/web`);
  rundir(`${own}/run`, ["web"]);
  symlinkSync("../run", `${own}/service/.sysmgr`);
  expect(found(`${own}/service/web`)).toMatchObject({ name: "web" });
});

test("a plain file", () => {
  const own = place();
  writeFileSync(`${own}/web`, "");
  rundir(`${own}/.sysmgr`, ["web"]);
  expect(found(`${own}/web`)).toMatchObject({ name: "web", single: false });
});

test("nobody: no entry, no supervisor, a dead one, one that does not know it", () => {
  const own = place();
  for (const name of ["alone", "dead/web", "new/web"]) makeDirectory(`${own}/${name}`);
  rundir(`${own}/dead/.sysmgr`, ["web"], false);
  rundir(`${own}/new/.sysmgr`, ["db"]);
  for (const name of ["absent", "alone", "dead/web", "new/web", "new/db", ""]) {
    expect([name, found(name === "" ? "" : `${own}/${name}`)]).toEqual([name, null]);
  }
  const places = new Places();
  expect(["alone", "dead/web", "new/web"].map((n) => places.wasSupervised(`${own}/${n}`))).toEqual([
    false,
    true,
    false,
  ]);
  makeDirectory(`${own}/dead/web/log`);
  expect(places.wasSupervised(`${own}/dead/web/log`)).toBe(true);
});

test("hidden entries are no services", () => {
  const own = place();
  makeDirectory(`${own}/.web`);
  rundir(`${own}/.sysmgr`, [".web", "web"]);
  expect(found(`${own}/.web`)).toBeNull();
});

test("a supervisor of its own comes before the scanner around it", () => {
  const own = place();
  makeDirectory(`${own}/web/supervise`);
  rundir(`${own}/.sysmgr`, ["web"]);
  rundir(`${own}/web/supervise/.sysmgr`, ["named-otherwise", "named-otherwise/log"]);
  const single = { rundir: `${own}/web/supervise/.sysmgr`, name: "named-otherwise", single: true };
  expect(found(`${own}/web`)).toMatchObject(single);
  symlinkSync("web", `${own}/link`);
  expect(found(`${own}/link`)).toMatchObject({ name: "named-otherwise", single: true });
});

test("a dead supervisor of its own is passed over", () => {
  const own = place();
  makeDirectory(`${own}/web/supervise`);
  rundir(`${own}/.sysmgr`, ["web"]);
  rundir(`${own}/web/supervise/.sysmgr`, ["web"], false);
  expect(found(`${own}/web`)).toMatchObject({ rundir: `${own}/.sysmgr`, name: "web" });
});

test("of two names for one directory, the one that was given", () => {
  const own = place();
  makeDirectory(`${own}/elsewhere`);
  makeDirectory(`${own}/service`);
  rundir(`${own}/service/.sysmgr`, ["a", "b"]);
  for (const name of ["a", "b"]) symlinkSync("../elsewhere", `${own}/service/${name}`);
  expect(found(`${own}/service/a`)).toMatchObject({ name: "a" });
  expect(found(`${own}/service/b/`)).toMatchObject({ name: "b" });
});

test("another entry of the same directory, where the one that was given is not known", () => {
  const own = place();
  makeDirectory(`${own}/web`);
  symlinkSync("web", `${own}/alias`);
  symlinkSync(`${own}/web`, `${own}.link`);
  rundir(`${own}/.sysmgr`, ["web"]);
  expect(found(`${own}/alias`)).toMatchObject({ name: "web" });
  expect(found(`${own}.link`)).toMatchObject({ name: "web" });
});

test("what is written in supervise/sysmgr", () => {
  const own = place();
  makeDirectory(`${own}/elsewhere/supervise`);
  makeDirectory(`${own}/elsewhere/log/supervise`);
  rundir(`${own}/run`, ["web", "web/log"]);
  const say = (where: string, text: string) =>
    write(`${own}/elsewhere/${where}supervise/sysmgr`, text);
  say("", `${own}/run\nweb\n`);
  say("log/", `${own}/run\nweb/log\n`);
  expect(found(`${own}/elsewhere`)).toMatchObject({ rundir: `${own}/run`, name: "web" });
  expect(found(`${own}/elsewhere/log`)).toMatchObject({ rundir: `${own}/run`, name: "web/log" });
  for (const text of ["", "\n", `${own}/run`, `${own}/run\n../run/web\n`, "run\nweb\n", "\0"]) {
    say("", text);
    expect([text, found(`${own}/elsewhere`)]).toEqual([text, null]);
  }
});

test("a FIFO or a directory in its place holds nobody up", () => {
  const own = place();
  makeDirectory(`${own}/a/supervise/sysmgr`);
  makeDirectory(`${own}/b/supervise`);
  makeFifo(`${own}/b/supervise/sysmgr`);
  expect([found(`${own}/a`), found(`${own}/b`)]).toEqual([null, null]);
});

test("loggers", () => {
  const own = place();
  for (const name of ["web/log", "single/log", "single/supervise", "quiet/log", "log"]) {
    makeDirectory(`${own}/${name}`);
  }
  makeDirectory(`${own}/elsewhere`);
  makeDirectory(`${own}/linked`);
  symlinkSync("../elsewhere", `${own}/linked/log`);
  const services = ["web", loggerOf("web"), "quiet", "log", "linked", loggerOf("linked")];
  rundir(`${own}/.sysmgr`, services);
  rundir(`${own}/single/supervise/.sysmgr`, ["single", "single/log"]);
  expect(found(`${own}/web/log`)).toMatchObject({ name: "web/log", single: false });
  expect(found(`${own}/web/log/`)).toMatchObject({ name: "web/log" });
  expect(found(`${own}/web/./log/.`)).toMatchObject({ name: "web/log" });
  expect(found(`${own}/single/log`)).toMatchObject({ name: "single/log", single: true });
  expect(found(`${own}/linked/log`)).toMatchObject({ name: "linked/log" });
  expect(found(`${own}/quiet/log`)).toBeNull();
  // A service may have that name, and then is one.
  expect(found(`${own}/log`)).toMatchObject({ name: "log" });
});

test("a RUNDIR that was made again is opened again", () => {
  const own = place();
  makeDirectory(`${own}/web`);
  rundir(`${own}/run`, ["web"]);
  symlinkSync("run", `${own}/.sysmgr`);
  const places = new Places();
  const before = places.find(`${own}/web`);
  Bun.spawnSync(["mv", `${own}/run`, `${own}/old`]);
  rundir(`${own}/run`, ["web"]);
  const after = places.find(`${own}/web`);
  expect(after?.rundir).not.toBe(before?.rundir);
  expect(after?.rundir.isCurrent()).toBe(true);
  expect(places.find(`${own}/web`)?.rundir).toBe(after?.rundir as RunDir);
});
