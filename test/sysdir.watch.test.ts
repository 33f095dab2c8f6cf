/** What of SYSDIR wakes the scanner: entries once they are complete, and another SYSDIR. */
import { beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { E } from "../src/libc.ts";
import { SysDir } from "../src/sysdir.ts";
import { holds, until } from "./lib/until.ts";
import { scratchDirectory } from "./unit/scratch.ts";
import { openWatcher } from "./unit/watcher.ts";

const parent = scratchDirectory();
const watcher = openWatcher();
let round = 0;
let top: string;
let dir: string;
let entries: string[] = [];
let unfinished: string[] = [];
let moves = 0;

beforeEach(() => {
  top = `${parent}/top${++round}`;
  dir = `${top}/services`;
  [entries, unfinished, moves] = [[], [], 0];
  mkdirSync(dir, { recursive: true });
});

/** Does as the scanner does: when SYSDIR may be another one, it is watched anew. */
function watch(path = dir): SysDir {
  const sysdir = new SysDir(path);
  const [mine, complete, hinted] = [round, entries, unfinished];
  const again = () =>
    sysdir.watch(watcher, {
      entry: (name) => complete.push(name),
      unfinished: (name) => hinted.push(name),
      moved: () => {
        // Another test has begun: what this one has left behind goes.
        if (mine !== round) return;
        moves++;
        again();
      },
    });
  expect(again()).toBe(0);
  return sysdir;
}

/** What was told of entries so far. */
async function news(): Promise<string[]> {
  writeFileSync(`${dir}/last`, "");
  await until(() => entries.includes("last"), "the last event");
  return entries.splice(0).filter((name) => name !== "last");
}

async function moved(): Promise<void> {
  await until(() => moves > 0, "the move");
  // It settles: looking again is no event by itself.
  let before = -1;
  await until(() => {
    const same = before === moves;
    before = moves;
    return same;
  }, "rest");
  expect(moves).toBeLessThan(10);
  moves = 0;
}

describe("an entry is told of", () => {
  test.each<[string, () => void]>([
    ["that is written", () => writeFileSync(`${dir}/web`, "x")],
    ["that becomes executable", () => chmodSync(`${dir}/old`, 0o755)],
    ["that is removed", () => unlinkSync(`${dir}/old`)],
    ["that is moved in", () => renameSync(`${top}/outside`, `${dir}/web`)],
    ["that is moved away", () => renameSync(`${dir}/old`, `${top}/gone`)],
    ["that is a link", () => symlinkSync("old", `${dir}/web`)],
    ["that is a hard link", () => linkSync(`${dir}/old`, `${dir}/web`)],
    ["that is a directory", () => mkdirSync(`${dir}/web`)],
  ])("%s", async (what, act) => {
    writeFileSync(`${dir}/old`, "");
    writeFileSync(`${top}/outside`, "");
    watch();
    act();
    const told = new Set(await news());
    expect([...told]).toEqual([/becomes|removed|away/.test(what) ? "old" : "web"]);
    expect(moves).toBe(0);
  });

  test("whatever its name", async () => {
    watch();
    writeFileSync(Buffer.from(`${dir}/\xff\n`, "latin1"), "");
    expect(await news()).toContain("\xff\n");
  });

  test("when it is closed; while it is written, only that it will be", async () => {
    watch();
    const fd = openSync(`${dir}/web`, "w");
    expect(await news()).toEqual([]);
    expect(unfinished).toContain("web");
    closeSync(fd);
    expect(await news()).toEqual(["web"]);
  });

  test("but not while its name is hidden", async () => {
    watch();
    const fd = openSync(`${dir}/.web`, "w");
    mkdirSync(`${dir}/.db`);
    expect(await news()).toEqual([]);
    closeSync(fd);
    expect(await news()).toEqual([]);
    expect(unfinished).not.toContain(".web");
    renameSync(`${dir}/.web`, `${dir}/web`);
    expect(await news()).toEqual(["web"]);
  });

  test("that was linked in, its other name removed at once", async () => {
    writeFileSync(`${dir}/.web.new`, "");
    watch();
    linkSync(`${dir}/.web.new`, `${dir}/web`);
    unlinkSync(`${dir}/.web.new`);
    await news();
    expect(unfinished).toContain("web");
  });
});

describe("another SYSDIR is told of, and its entries from then on", () => {
  test("when it was missing and is made", async () => {
    rmSync(top, { recursive: true });
    watch();
    mkdirSync(top);
    await moved();
    mkdirSync(`${top}/other`);
    await moved();
    mkdirSync(dir);
    await moved();
    expect(await news()).toEqual([]);
  });

  test("when all of its path is made at once", async () => {
    rmSync(top, { recursive: true });
    watch();
    mkdirSync(dir, { recursive: true });
    await moved();
    expect(await news()).toEqual([]);
  });

  test("when it is removed and made again", async () => {
    watch();
    rmdirSync(dir);
    await moved();
    mkdirSync(dir);
    await moved();
    expect(await news()).toEqual([]);
  });

  test("when it is moved away and another moved in", async () => {
    watch();
    mkdirSync(`${top}/next`);
    renameSync(dir, `${top}/old`);
    renameSync(`${top}/next`, dir);
    await moved();
    writeFileSync(`${top}/old/stale`, "");
    expect(await news()).toEqual([]);
  });

  test("when a link to it is swapped, wherever on its path", async () => {
    mkdirSync(`${top}/v1/s`, { recursive: true });
    mkdirSync(`${top}/v2/s`, { recursive: true });
    rmdirSync(dir);
    symlinkSync("v1", `${top}/now`);
    symlinkSync("now/s", dir);
    watch();
    symlinkSync("v2", `${parent}/next${round}`);
    writeFileSync(`${top}/beside`, "");
    expect(await news()).toEqual([]);
    expect(moves).toBe(0);
    renameSync(`${parent}/next${round}`, `${top}/now`);
    await moved();
    writeFileSync(`${top}/v1/s/stale`, "");
    expect(await news()).not.toContain("stale");
  });

  test("when a dangling link is made to lead somewhere", async () => {
    rmdirSync(dir);
    symlinkSync("later", dir);
    watch();
    mkdirSync(`${top}/later`);
    await moved();
    expect(await news()).toEqual([]);
  });

  test("when its owner or mode changes: it may be secure now", async () => {
    watch();
    chmodSync(dir, 0o700);
    await moved();
    expect(await news()).toEqual([]);
  });

  test("and nothing else is: other files beside it are of no interest", async () => {
    watch();
    writeFileSync(`${top}/beside`, "");
    mkdirSync(`${dir}/web`);
    writeFileSync(`${dir}/web/run`, "");
    expect(new Set(await news())).toEqual(new Set(["web"]));
    await holds(() => moves === 0, "no move", 0.1);
  });
});

test.each<[string, (web: string) => void]>([
  ["is written", (web) => writeFileSync(`${web}/run`, "x")],
  ["becomes executable", (web) => chmodSync(`${web}/old`, 0o755)],
  ["is moved in", (web) => renameSync(`${web}/../outside`, `${web}/run`)],
  ["is linked in", (web) => symlinkSync("old", `${web}/run`)],
])("a change inside an entry that cannot be started is told of: run %s", async (_, act) => {
  const sysdir = watch();
  const web = `${dir}/web`;
  mkdirSync(web);
  for (const path of [`${web}/old`, `${dir}/outside`]) writeFileSync(path, "");
  await news();
  let changes = 0;
  const inside = sysdir.watchEntry(watcher, "web", () => changes++);
  if (typeof inside === "number") throw new Error(`cannot watch: ${inside}`);
  act(web);
  await until(() => changes > 0, "the change");
  watcher.remove(inside);
  await news();
  changes = 0;
  writeFileSync(`${web}/finish`, "");
  await news();
  expect(changes).toBe(0);
});

test("a change of what an entry links to is told of while it cannot be started", async () => {
  const sysdir = watch();
  writeFileSync(`${top}/far`, "");
  symlinkSync("../far", `${dir}/web`);
  let changes = 0;
  expect(sysdir.watchEntry(watcher, "web", () => changes++)).toBeObject();
  chmodSync(`${top}/far`, 0o755);
  await until(() => changes > 0, "the change");
  expect(sysdir.watchEntry(watcher, "none", () => {})).toBe(-E.NOENT);
});
