/** What RUNDIR holds of a service: its directory, status, pid, and whom it waits for. */
import { beforeEach, describe, expect, test } from "bun:test";
import {
  chownSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { E, getsid } from "../src/libc.ts";
import { ownProcess, type RunDir } from "../src/rundir.ts";
import { BLANK, type Status } from "../src/status.ts";
import { list } from "./lib/files.ts";
import { hostile, plainHostile } from "./unit/hostile.ts";
import { remade } from "./unit/rundir.ts";
import { isRoot, scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
const path = `${dir}/run`;
const bait = `${dir}/bait`;
let rundir: RunDir;

const kinds = Object.entries({ ...hostile, ...plainHostile });
const notFiles = Object.entries(hostile);
const status: Status = {
  ...BLANK,
  state: "up",
  wanted: "up",
  process: ownProcess(),
  boot: "b7d2",
  pidns: "4026",
  since: 1_700_000_000_123,
  runs: 1,
};

beforeEach(() => {
  rundir?.close();
  writeFileSync(bait, "once\n");
  rundir = remade(path);
  rundir.makeService("web");
});

describe("a service's directory", () => {
  test("is made with its drop box, and what is there already stays", () => {
    expect(rundir.makeService("db")).toBe(0);
    expect(statSync(`${path}/db`).mode & 0o777).toBe(0o755);
    expect(readdirSync(`${path}/db`)).toEqual(["control"]);
    writeFileSync(`${path}/db/lock`, "");
    writeFileSync(`${path}/db/control/hup`, "");
    expect(rundir.makeService("db")).toBe(-E.EXIST);
    expect(list(`${path}/db`).sort()).toEqual(["control", "lock"]);
    expect(list(`${path}/db/control`)).toEqual(["hup"]);
  });

  test("has the service's name, whatever its bytes", () => {
    const names = ["\xff\xfe", "a\nb", "-rf", "é", "x".repeat(255)];
    for (const name of names) expect(rundir.makeService(name)).toBe(0);
    expect(rundir.services().sort()).toEqual([...names, "web"].sort());
    for (const name of names) rundir.forgetService(name);
    expect(rundir.services()).toEqual(["web"]);
    expect(rundir.makeService("x".repeat(256))).toBeLessThan(0);
  });

  test("is none of the supervisor's own", () => {
    rundir.writeSupervisorPid();
    writeFileSync(`${path}/.lock`, "");
    expect(rundir.services()).toEqual(["web"]);
  });

  test.each(kinds.filter(([kind]) => !kind.endsWith("a directory")))(
    "is made in place of %s, and of one at its drop box",
    (_, make) => {
      make(`${path}/db`, bait);
      rmSync(`${path}/web/control`, { recursive: true });
      make(`${path}/web/control`, bait);
      for (const name of ["db", "web"]) {
        rundir.makeService(name);
        expect(lstatSync(`${path}/${name}`).isDirectory()).toBeTrue();
        expect(lstatSync(`${path}/${name}/control`).isDirectory()).toBeTrue();
      }
      expect(readFileSync(bait, "utf8")).toBe("once\n");
    },
  );

  test("is met once it has a drop box, whatever is in its directory", () => {
    mkdirSync(`${path}/db`);
    rundir.setMarker("db", "");
    expect([rundir.isMet("web"), rundir.isMet("db"), rundir.isMet("none")]).toEqual([
      true,
      false,
      false,
    ]);
    rundir.forgetService("web");
    expect(rundir.isMet("web")).toBeFalse();
  });

  test("is whole while it has a status, a drop box and, if it runs, a pid", () => {
    expect(rundir.isWhole("web", false)).toBeFalse();
    rundir.writeStatus("web", status);
    expect(rundir.isWhole("web", false)).toBeTrue();
    expect(rundir.isWhole("web", true)).toBeFalse();
    rundir.writePid("web", 7);
    expect(rundir.isWhole("web", true)).toBeTrue();
    rmSync(`${path}/web/control`, { recursive: true });
    expect(rundir.isWhole("web", false)).toBeFalse();
  });

  test("is removed with its stop marker when it was never ours", () => {
    rundir.setMarker("web", "");
    rundir.removeService("web");
    expect(rundir.services()).toEqual([]);
  });

  test("is forgotten with all that is in it, but not its stop marker", () => {
    for (const [kind, make] of kinds) make(`${path}/web/${kind}`, bait);
    rundir.writeStatus("web", status);
    rundir.setMarker("web", "");
    rundir.forgetService("web");
    expect(list(`${path}/web`)).toEqual(["lock"]);
    rundir.setMarker("web", null);
    rundir.forgetService("web");
    expect(rundir.services()).toEqual([]);
    expect(readFileSync(bait, "utf8")).toBe("once\n");
  });
});

describe("the status", () => {
  test("comes back as it was written", () => {
    expect([rundir.status("web"), rundir.hasStatus("web")]).toEqual([null, false]);
    expect(rundir.writeStatus("web", status)).toBe(0);
    expect([rundir.status("web"), rundir.hasStatus("web")]).toEqual([status, true]);
    expect(rundir.ownStatus("web")).toEqual(status);
    expect(statSync(`${path}/web/status`).mode & 0o777).toBe(0o644);
  });

  test("is replaced whole: who has the old one open reads the old one to its end", () => {
    rundir.writeStatus("web", status);
    const old = openSync(`${path}/web/status`, "r");
    rundir.writeStatus("web", { ...status, state: "down", process: null });
    expect(readFileSync(old, "utf8")).toStartWith("state=up\nwanted=up\npid=");
    closeSync(old);
    expect(readdirSync(path)).toEqual(["web"]);
  });

  test.each(kinds)("is none in %s, and is written in its place", (_, make) => {
    rundir.makeService("db");
    rundir.writeStatus("db", status);
    make(`${path}/web/status`, `${path}/db/status`);
    expect(rundir.status("web")).toBeNull();
    make(`${path}/.new.${process.pid}`, `${path}/db/status`);
    expect(rundir.writeStatus("web", { ...status, runs: 2 })).toBe(0);
    expect(rundir.status("web")?.runs).toBe(2);
    expect(rundir.status("db")?.runs).toBe(1);
  });

  test("that is huge is read no further than 4 KiB", () => {
    rundir.writeStatus("web", { ...status, reason: "x".repeat(100_000) });
    expect(rundir.status("web")?.reason?.length).toBeLessThan(4096);
  });

  test("cannot be written where there is no service", () => {
    expect(rundir.writeStatus("none", status)).toBe(-E.NOENT);
  });

  test.if(isRoot)("that somebody else wrote is nothing to adopt by", () => {
    rundir.writeStatus("web", status);
    chownSync(`${path}/web/status`, 65534, 65534);
    expect(rundir.ownStatus("web")).toBeNull();
    expect(rundir.status("web")).toEqual(status);
  });
});

test.each(kinds)("the pid is written in place of %s, and removed", (_, make) => {
  make(`${path}/web/pid`, bait);
  expect(rundir.writePid("web", 812)).toBe(0);
  expect(readFileSync(`${path}/web/pid`, "utf8")).toBe("812\n");
  rundir.writePid("web", null);
  expect(list(`${path}/web`)).toEqual(["control"]);
  expect(rundir.writePid("web", null)).toBe(-E.NOENT);
});

describe("whom a service waits for", () => {
  const waiter = { process: ownProcess(), services: ["db", "a\nb", "\xff"] };

  test("is told by each sysmgr-depends that lives", () => {
    expect(rundir.waiters("web", null)).toEqual([]);
    expect(rundir.writeWaiter("web", waiter)).toBe(0);
    expect(rundir.waiters("web", null)).toEqual([waiter]);
    const recycled = { pid: process.pid, started: waiter.process.started - 1 };
    rundir.writeWaiter("web", { ...waiter, process: recycled });
    expect(rundir.waiters("web", null)).toEqual([]);
  });

  test("is told by those in the session of its main process", () => {
    rundir.writeWaiter("web", waiter);
    const main = { pid: getsid(0), started: 0 };
    expect(rundir.waiters("web", main)).toEqual([waiter]);
    expect(rundir.waiters("web", { ...main, pid: 2 ** 22 + 1 })).toEqual([]);
  });

  test("is told however long it is", () => {
    const services = Array.from({ length: 500 }, (_, i) => `service ${i}`);
    expect(rundir.writeWaiter("web", { ...waiter, services })).toBe(0);
    expect(rundir.waiters("web", null)).toEqual([{ ...waiter, services }]);
  });

  test("is over when the last one takes itself away", () => {
    rundir.writeWaiter("web", waiter);
    rundir.writeWaiter("web", { ...waiter, process: { pid: 2 ** 22 + 1, started: 1 } });
    rundir.removeWaiter("web", process.pid);
    expect(list(`${path}/web/waiting`)).toEqual([String(2 ** 22 + 1)]);
    rundir.removeWaiter("web", 2 ** 22 + 1);
    expect(list(`${path}/web`)).toEqual(["control"]);
  });

  test.each(kinds)("is not told by %s", (_, make) => {
    rundir.makeService("db");
    rundir.writeWaiter("db", waiter);
    mkdirSync(`${path}/web/waiting`);
    make(`${path}/web/waiting/${process.pid}`, `${path}/db/waiting/${process.pid}`);
    expect(rundir.waiters("web", null)).toEqual([]);
  });

  test("is remembered until its next life", () => {
    expect(rundir.clearDepends("web")).toBeFalse();
    rundir.addDepends("web", ["db", "a\nb"]);
    rundir.addDepends("web", ["db", "\xff"]);
    expect(rundir.depends("web").sort()).toEqual(["a\nb", "db", "\xff"].sort());
    rundir.writeWaiter("web", waiter);
    expect(rundir.clearDepends("web")).toBeTrue();
    expect([rundir.depends("web"), rundir.waiters("web", null)]).toEqual([[], []]);
  });

  test.each(notFiles)("is written through no link: %s in the way", (_, make) => {
    mkdirSync(`${path}/web/depends`);
    make(`${path}/web/depends/db`, bait);
    rundir.addDepends("web", ["db"]);
    expect(readFileSync(bait, "utf8")).toBe("once\n");
    expect(list(dir)).not.toContain("bait.none");
  });

  test.each(kinds.filter(([kind]) => !kind.endsWith("a directory")))(
    "is written in place of %s that stands there, not through it",
    (kind, make) => {
      for (const name of ["waiting", "depends"]) make(`${path}/web/${name}`, bait);
      rundir.clearDepends("web");
      for (const name of ["waiting", "depends"]) make(`${path}/web/${name}`, bait);
      rundir.addDepends("web", ["db"]);
      expect(rundir.depends("web")).toContain("db");
      expect(rundir.writeWaiter("web", waiter)).toBe(0);
      expect(rundir.waiters("web", null)).toEqual([waiter]);
      expect([kind, list(`${bait}.d`)]).toEqual([kind, []]);
    },
  );
});
