/** How clients wait: woken by what they wait for, in time, and now and then where they cannot be. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { CLIENT_POLL } from "../config.ts";
import { Alarm } from "../src/alarm.ts";
import { IN } from "../src/libc.ts";
import { RunDir } from "../src/rundir.ts";
import { BLANK, type Status } from "../src/status.ts";
import { until } from "./lib/until.ts";
import { scratchDirectory } from "./unit/scratch.ts";
import { openWatcher } from "./unit/watcher.ts";

const dir = scratchDirectory();
const watcher = openWatcher();
let rounds = 0;
let path: string;
let rundir: RunDir;
let alarm: Alarm;

beforeEach(() => {
  path = `${dir}/run${++rounds}`;
  const made = RunDir.make(path);
  if (typeof made === "number") throw new Error("cannot make RUNDIR");
  rundir = made;
  rundir.makeService("web");
  alarm = new Alarm(() => watcher);
  alarm.watchService(rundir, "web");
});

afterEach(() => {
  rmSync(path, { recursive: true, force: true });
  rundir.close();
});

const far = () => performance.now() + 60_000;

/** How long it took to ring, in milliseconds. */
async function rung(deadline = far()): Promise<number> {
  const began = performance.now();
  expect(await alarm.ring(deadline)).toBeTrue();
  return performance.now() - began;
}

test("it rings when the status is written", async () => {
  const began = performance.now();
  setTimeout(() => rundir.writePid("web", 812), 50);
  await rung();
  expect(performance.now() - began).toBeWithin(40, 50_000);
});

test("it rings at once for what came while nobody listened, and once for all of it", async () => {
  let seen = false;
  alarm.watch("also", path, IN.CREATE);
  watcher.add(path, IN.CREATE, () => {
    seen = true;
  });
  rundir.writePid("web", 812);
  writeFileSync(`${path}/new`, "");
  await until(() => seen, "the event");
  await rung();
  expect(await alarm.ring(performance.now() + 100)).toBeTrue();
  expect(await alarm.ring(performance.now() - 1)).toBeFalse();
});

test("it does not ring after the deadline", async () => {
  expect(await alarm.ring(performance.now() - 1)).toBeFalse();
  rundir.writePid("web", 812);
  expect(await alarm.ring(performance.now())).toBeFalse();
});

describe("the status of a service that has none", () => {
  const status: Status = { ...BLANK, state: "up", wanted: "up", boot: "b7d2", pidns: "4026" };

  test("is waited for, with inotify and without", async () => {
    for (const waiting of [alarm, new Alarm(() => watcher), new Alarm(() => null)]) {
      const found = waiting.statusOf(rundir, "web", far());
      rundir.writeStatus("web", status);
      expect(await found).toEqual(status);
      rmSync(`${path}/web/status`);
    }
  });

  test("is none once that takes too long, or the service is gone", async () => {
    expect(await alarm.statusOf(rundir, "web", performance.now() + 50)).toBeNull();
    const found = alarm.statusOf(rundir, "web", far());
    rundir.removeService("web");
    expect(await found).toBeNull();
  });

  test("is not waited for where sysmgr has not met it", async () => {
    expect(await alarm.statusOf(rundir, "db", far())).toBeNull();
  });
});

describe("what is not watched, or not any more,", () => {
  test("is looked at now and then", async () => {
    const blind = new Alarm(() => null);
    expect(blind.isBlind).toBeFalse();
    blind.watchService(rundir, "web");
    expect(blind.isBlind).toBeTrue();
    const began = performance.now();
    expect(await blind.ring(far())).toBeTrue();
    expect(performance.now() - began).toBeWithin(CLIENT_POLL - 20, 50_000);
  });

  test("is looked at so until it is watched again", async () => {
    rmSync(`${path}/web`, { recursive: true });
    await rung();
    await until(() => alarm.isBlind, "blindness");
    rundir.makeService("web");
    alarm.watchService(rundir, "web");
    expect(alarm.isBlind).toBeFalse();
    setTimeout(() => rundir.writePid("web", 812), 30);
    await rung();
  });

  test("is noticed when it was moved away", async () => {
    renameSync(`${path}/web`, `${path}/gone`);
    await rung();
    expect(alarm.isBlind).toBeTrue();
  });

  test("is nothing to wait for once it is forgotten", async () => {
    alarm.watch("none", `${path}/none`, IN.CREATE);
    expect(alarm.isBlind).toBeTrue();
    alarm.forget("none");
    expect(alarm.isBlind).toBeFalse();
    alarm.reset();
    expect(alarm.isBlind).toBeTrue();
  });
});
