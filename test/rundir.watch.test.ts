/** What of RUNDIR wakes the scanner: markers and commands once they are written, and losses. */
import { afterEach, beforeEach, expect, setSystemTime, test } from "bun:test";
import {
  closeSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import * as libc from "../src/libc.ts";
import { ownProcess, type RunDir, SUPERVISOR, SUPERVISOR_COMMANDS } from "../src/rundir.ts";
import { until } from "./lib/until.ts";
import { remade } from "./unit/rundir.ts";
import { makeFifo, scratchDirectory } from "./unit/scratch.ts";
import { openWatcher } from "./unit/watcher.ts";

const dir = scratchDirectory();
const watcher = openWatcher();
let round = 0;
let path: string;
let web: string;
let rundir: RunDir;
let told: string[];

beforeEach(() => {
  path = `${dir}/run${++round}`;
  web = `${path}/web`;
  told = [];
  rundir = remade(path);
  rundir.makeService("web");
  rundir.makeService("end");
  rundir.writeSupervisorPid();
  libc.close(rundir.lock());
});

afterEach(() => {
  rmSync(path, { recursive: true, force: true });
  rundir.close();
});

function listen(name = "web"): void {
  const mine = told;
  rundir.watch(watcher, (what, service) => mine.push(`${what} ${service}`));
  rundir.watchService(watcher, name);
  rundir.watchService(watcher, "end");
}

/** Everything that was told of what has happened so far. */
async function news(): Promise<string[]> {
  rundir.setMarker("end", "");
  await until(() => told.includes("marked end"), "the last event");
  return told.splice(0).filter((event) => event !== "marked end");
}

/** Without the hints that something is on its way. */
async function complete(): Promise<string[]> {
  return (await news()).filter((event) => !event.startsWith("unfinished"));
}

test.each<[string, () => void, string[]]>([
  ["a marker that is touched", () => writeFileSync(`${web}/lock`, ""), ["marked web"]],
  ["a marker that is written", () => writeFileSync(`${web}/lock`, "once"), ["marked web"]],
  ["a link as a marker", () => symlinkSync("/", `${web}/lock`), ["marked web"]],
  ["a directory as a marker", () => mkdirSync(`${web}/lock`), ["marked web"]],
  ["a FIFO as a marker", () => makeFifo(`${web}/lock`), ["marked web"]],
  ["what is no marker", () => writeFileSync(`${web}/other`, ""), []],
  ["a command that is touched", () => writeFileSync(`${web}/control/up`, ""), ["command web"]],
  ["a command as a link", () => symlinkSync("/", `${web}/control/up`), ["command web"]],
  ["a removed command", () => rmSync(`${web}/control/old`), []],
  [
    "a waiter",
    () => rundir.writeWaiter("web", { process: ownProcess(), services: [] }),
    ["waiting web"],
  ],
  ["our own status", () => rundir.writePid("web", 812), []],
  ["a scan", () => writeFileSync(`${path}/.control/scan`, ""), ["command "]],
])("%s is told of once", async (_, act, events) => {
  writeFileSync(`${web}/control/old`, "");
  listen();
  act();
  expect(await complete()).toEqual(events);
});

test("a marker is told of when it comes and when it goes, however it does", async () => {
  listen();
  writeFileSync(`${web}/staged`, "");
  renameSync(`${web}/staged`, `${web}/lock`);
  expect(await news()).toEqual(["marked web"]);
  renameSync(`${web}/lock`, `${web}/staged`);
  expect(await news()).toEqual(["unmarked web"]);
  renameSync(`${web}/staged`, `${web}/lock`);
  unlinkSync(`${web}/lock`);
  expect(await news()).toEqual(["marked web", "unmarked web"]);
});

test("a file that is made and still open is told of as unfinished, until it is closed", async () => {
  listen();
  const files = [`${web}/lock`, `${web}/control/up`, `${path}/.control/shutdown`];
  const fds = files.map((file) => openSync(file, "w"));
  expect(await news()).toEqual(["unfinished web", "unfinished web", "unfinished "]);
  for (const fd of fds) writeSync(fd, "once\n");
  expect(await news()).toEqual([]);
  for (const fd of fds) closeSync(fd);
  expect(await news()).toEqual(["marked web", "command web", "command "]);
});

test("an empty shutdown is taken at once when it was seen to be closed, else a little later", async () => {
  listen();
  const take = () => rundir.take(SUPERVISOR, SUPERVISOR_COMMANDS);
  const fd = openSync(`${path}/.control/shutdown`, "w");
  expect(await news()).toEqual(["unfinished "]);
  // However long that took, it is young.
  const now = new Date();
  futimesSync(fd, now, now);
  setSystemTime(now);
  const young = take();
  setSystemTime();
  expect(young).toMatchObject({ orders: [], early: true });
  closeSync(fd);
  expect(await news()).toEqual(["command "]);
  expect(take()).toMatchObject({ orders: [{ command: "shutdown", content: "" }], early: false });
});

test("a marker or command linked in, its other name removed at once, is told of", async () => {
  listen();
  for (const name of ["lock", "control/up"]) {
    writeFileSync(`${web}/staged`, "");
    linkSync(`${web}/staged`, `${web}/${name}`);
    unlinkSync(`${web}/staged`);
  }
  expect(await news()).toEqual(["unfinished web", "unfinished web"]);
});

test("a request of ours is told of as soon as it is made", async () => {
  listen();
  const request = rundir.request("web", "up");
  await until(() => told.includes("command web"), "the request");
  if (typeof request !== "number") request.close();
});

test.each<[string, () => void, string]>([
  ["a removed service", () => rmSync(web, { recursive: true }), "lost web"],
  ["a removed drop box", () => rmSync(`${web}/control`, { recursive: true }), "lost web"],
  ["a service moved away", () => renameSync(web, `${dir}/away`), "lost web"],
  ["a removed status", () => rmSync(`${web}/status`), "lost web"],
  ["a service's removed pid", () => rmSync(`${web}/pid`), "pidless web"],
  ["a removed pid", () => rmSync(`${path}/pid`), "lost "],
  ["a removed lock", () => rmSync(`${path}/.lock`), "lost "],
  [
    "a removed drop box of the supervisor",
    () => rmSync(`${path}/.control`, { recursive: true }),
    "lost ",
  ],
  ["a removed RUNDIR", () => rmSync(path, { recursive: true }), "lost web"],
  ["a RUNDIR moved away", () => renameSync(path, `${dir}/moved`), "lost "],
])("%s is told of", async (_, act, event) => {
  writeFileSync(`${web}/status`, "");
  writeFileSync(`${web}/pid`, "");
  listen();
  act();
  await until(() => told.includes(event), event);
});

test("a removed RUNDIR without services is told of as lost", async () => {
  for (const name of ["web", "end"]) rundir.forgetService(name);
  rundir.watch(watcher, (what, service) => told.push(`${what} ${service}`));
  rmSync(path, { recursive: true });
  await until(() => told.includes("lost "), "the loss");
});

test("names are bytes", async () => {
  const name = "\xff\n";
  rundir.makeService(name);
  listen(name);
  rundir.setMarker(name, "");
  await until(() => told.includes(`marked ${name}`), "its marker");
});
