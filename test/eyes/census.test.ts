/** Looking at all services again and again: what changes is seen, what is told to a listener. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Census } from "../../src/eyes/census.ts";
import { readStat } from "../../src/proc.ts";
import { RunDir } from "../../src/rundir.ts";
import type { Status } from "../../src/status.ts";
import { makeDirectory, remove, rename } from "../lib/files.ts";
import { PLAIN_STATUS } from "../lib/shown.ts";
import { until } from "../lib/until.ts";

const base = mkdtempSync(join(tmpdir(), "sysmgr-census."));
let count = 0;
let caller: Bun.Subprocess | undefined;
afterAll(async () => {
  remove(base);
  caller?.kill("SIGKILL");
  await caller?.exited;
});

/** A RUNDIR with services in it, and a sysmgr's hand to write there. */
function rundir(...names: string[]) {
  const path = `${base}/${count++}`;
  const hand = RunDir.make(path);
  if (typeof hand === "number") throw new Error(`${hand}`);
  const write = (name: string, changes: Partial<Status> = {}) => {
    hand.makeService(name);
    hand.writeStatus(name, { ...PLAIN_STATUS, ...changes });
  };
  for (const name of names) write(name);
  return { path, hand, write };
}

function open(path: string, once?: "once"): Census {
  const opened = RunDir.open(path);
  if (typeof opened === "number") throw new Error(`${opened}`);
  return new Census(opened, once);
}

const names = (census: Census) =>
  census
    .look()
    .map((s) => s.name)
    .join(" ");

test("services in their order, loggers after them, and no others", () => {
  const { path, hand, write } = rundir("web", "db");
  write("db", { logger: true });
  write("db/log");
  makeDirectory(`${path}/marker-only`);
  hand.writeSupervisorPid();
  expect(names(open(path))).toBe("db db/log web");
  expect(names(open(path, "once"))).toBe("db db/log web");
});

test("changes are seen, and told; what did not change is the same object", async () => {
  const { path, hand, write } = rundir("web", "db");
  const census = open(path);
  const [db, web] = census.look();
  let rings = 0;
  census.listen(() => {
    rings++;
  });
  write("web", { state: "stopping" });
  await until(() => census.look()[1]?.status?.state === "stopping", "it is stopping");
  expect(rings).toBeGreaterThan(0);
  expect(census.look()[0]).toBe(db as never);
  expect(census.look()[1]).not.toBe(web as never);
  write("late");
  await until(() => names(census) === "db late web", "it is there");
  hand.removeService("web");
  await until(() => names(census) === "db late", "it is gone");
  expect(census.isBlind).toBeFalse();
});

test("who waits, and for what, however that changes", async () => {
  const { path, hand, write } = rundir("web");
  // A call counts in the session of the main process: here it is that process itself.
  caller = Bun.spawn(["sleep", "3600"], { detached: true });
  const { pid } = caller;
  const main = { pid, started: readStat(pid)?.started ?? 0 };
  write("web", { process: main, state: "starting" });
  const census = open(path);
  const waiting = () => census.look()[0]?.waitingFor.join(" ");
  expect(waiting()).toBe("");
  let rings = 0;
  census.listen(() => {
    rings++;
  });
  for (const services of [["db", "cache"], ["cache"]]) {
    const before = rings;
    hand.writeWaiter("web", { process: main, services });
    await until(() => waiting() === services.join(" "), "it waits");
    await until(() => rings > before, "it is told");
  }
  const before = rings;
  hand.removeWaiter("web", pid);
  await until(() => waiting() === "", "it waits no more");
  await until(() => rings > before, "it is told");
  hand.writeWaiter("web", { process: main, services: ["again"] });
  await until(() => waiting() === "again", "it waits again");
});

test("a RUNDIR that was replaced is followed", async () => {
  const { path } = rundir("web");
  const other = rundir("new");
  const census = open(path);
  expect(names(census)).toBe("web");
  rename(path, `${path}.old`);
  expect(names(census)).toBe("web");
  rename(other.path, path);
  await until(() => names(census) === "new", "it looks at the new one");
  other.write("newer");
  await until(() => names(census) === "new newer", "it hears of changes there");
  expect(census.isBlind).toBeFalse();
});
