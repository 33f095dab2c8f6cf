/** The stop marker and the commands whose content may come in a second step. */
import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { MARKER_GRACE } from "../config.ts";
import { kill, SIGNALS } from "../src/libc.ts";
import { type RunDir, SUPERVISOR, SUPERVISOR_COMMANDS } from "../src/rundir.ts";
import { until } from "./lib/until.ts";
import { ending, launch, script } from "./unit/child.ts";
import { hostile, plainHostile } from "./unit/hostile.ts";
import { remade } from "./unit/rundir.ts";
import { scratchDirectory, unprivileged } from "./unit/scratch.ts";

const dir = scratchDirectory();
const path = `${dir}/run`;
const bait = `${dir}/bait`;
let rundir: RunDir;

const kinds = Object.entries({ ...hostile, ...plainHostile });

beforeEach(() => {
  rundir?.close();
  writeFileSync(bait, "once\n");
  rundir = remade(path);
  rundir.makeService("web");
});

/** Makes a file as old as that, in milliseconds. */
function age(file: string, ms: number): void {
  const time = (Date.now() - ms) / 1000;
  utimesSync(file, time, time);
}

describe("the stop marker", () => {
  test("is whole while another process writes into the same RUNDIR", async () => {
    const other = launch(`${dir}/out`, script("write-statuses.ts", path));
    try {
      await until(() => rundir.status("db"), "the other one writes");
      for (let round = 0; round < 3_000; round++) {
        expect(rundir.setMarker("web", "once\n")).toBe(0);
        expect(rundir.marker("web")?.wanted).toBe("once");
      }
      expect(rundir.status("db")?.runs).toBeGreaterThan(0);
    } finally {
      kill(other, SIGNALS.KILL);
      await ending(other);
    }
  });

  test("is none where none stands, nor where there is no service", () => {
    expect(rundir.marker("web")?.wanted).toBe("up");
    expect(rundir.marker("none")?.wanted).toBe("up");
  });

  test("is not known where the kernel says neither", () => {
    expect(rundir.marker("x".repeat(256))).toBeNull();
  });

  test("says what its content says", () => {
    writeFileSync(`${path}/web/lock`, "once\n");
    expect(rundir.marker("web")).toMatchObject({ wanted: "once", signal: null });
    writeFileSync(`${path}/web/lock`, "SIGINT\n");
    expect(rundir.marker("web")).toMatchObject({ wanted: "down", signal: 2 });
  });

  test.each(kinds)("stops, and says no more, where %s stands", (_, make) => {
    make(`${path}/web/lock`, bait);
    expect(rundir.marker("web")).toMatchObject({ wanted: "down", signal: null });
  });

  test("that cannot be read stops all the same", () => {
    writeFileSync(`${path}/web/lock`, "once\n");
    chmodSync(`${path}/web/lock`, 0);
    expect(unprivileged(() => rundir.marker("web")?.wanted)).toBe("down");
  });

  test.each(kinds)("is written and removed in place of %s", (_, make) => {
    make(`${path}/web/lock`, bait);
    expect(rundir.setMarker("web", "once\n")).toBe(0);
    expect(rundir.marker("web")?.wanted).toBe("once");
    rmSync(`${path}/web/lock`);
    make(`${path}/web/lock`, bait);
    expect(rundir.setMarker("web", null)).toBe(0);
    expect(rundir.marker("web")?.wanted).toBe("up");
    expect(readFileSync(bait, "utf8")).toBe("once\n");
  });
});

describe("an empty file that was made just now", () => {
  const isFresh = () => rundir.marker("web")?.fresh;

  test("is a stop marker that may still be written", async () => {
    expect(isFresh()).toBeFalse();
    writeFileSync(`${path}/web/lock`, "");
    await until(() => {
      age(`${path}/web/lock`, 0);
      return isFresh();
    }, "a look while it is young");
    age(`${path}/web/lock`, MARKER_GRACE + 50);
    expect(isFresh()).toBeFalse();
    // A clock that was set back must not make it fresh for ever.
    age(`${path}/web/lock`, -MARKER_GRACE - 50_000);
    expect(isFresh()).toBeFalse();
  });

  test("is no more when something is in it, or it is no file", () => {
    writeFileSync(`${path}/web/lock`, "\n");
    expect(isFresh()).toBeFalse();
    for (const make of Object.values(hostile)) {
      rmSync(`${path}/web/lock`, { recursive: true });
      make(`${path}/web/lock`, bait);
      expect(isFresh()).toBeFalse();
    }
  });

  test("is a shutdown to be taken later, with the exit code that it gets", async () => {
    rundir.writeSupervisorPid();
    const file = `${path}/.control/shutdown`;
    const take = () => rundir.take(SUPERVISOR, SUPERVISOR_COMMANDS);
    await until(() => {
      writeFileSync(file, "");
      const { orders, early } = take();
      rundir.finish(SUPERVISOR, "shutdown");
      return early && orders.length === 0;
    }, "a look while it is young");
    writeFileSync(file, "3\n");
    const [order] = take().orders;
    expect(order).toMatchObject({ command: "shutdown", content: "3" });
    rundir.finish(SUPERVISOR, "shutdown");
    writeFileSync(file, "");
    await until(() => take().orders.length > 0, "the end of its youth");
  });

  test("is another command, to be taken at once", () => {
    rundir.writeSupervisorPid();
    writeFileSync(`${path}/.control/scan`, "");
    const { orders, early } = rundir.take(SUPERVISOR, SUPERVISOR_COMMANDS);
    expect([orders.length, early]).toEqual([1, false]);
  });
});
