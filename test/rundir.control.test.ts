/** The drop boxes: how a command is put in, taken out and answered, and what may be in the way. */
import { beforeEach, describe, expect, test } from "bun:test";
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { E } from "../src/libc.ts";
import {
  COMMANDS,
  type Command,
  type Request,
  type RunDir,
  SUPERVISOR,
  SUPERVISOR_COMMANDS,
} from "../src/rundir.ts";
import { list } from "./lib/files.ts";
import { hostile } from "./unit/hostile.ts";
import { remade } from "./unit/rundir.ts";
import { scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
const path = `${dir}/run`;
const box = `${path}/web/control`;
const bait = `${dir}/bait`;
let rundir: RunDir;

beforeEach(() => {
  rundir?.close();
  writeFileSync(bait, "precious\n");
  rundir = remade(path);
  rundir.makeService("web");
});

/** A directory of so many files. */
function crowd(directory: string, count: number): void {
  mkdirSync(directory, { recursive: true });
  for (let i = 0; i < count; i++) writeFileSync(`${directory}/garbage${i}`, "");
}

/** A file in the drop box that is so many seconds old. */
function drop(file: string, age: number, content = ""): void {
  writeFileSync(`${box}/${file}`, content);
  const time = 1_700_000_000 - age;
  utimesSync(`${box}/${file}`, time, time);
}

function taken(): string[] {
  return rundir.take("web", COMMANDS).orders.map((order) => order.command);
}

function requested(command: Command): Request {
  const request = rundir.request("web", command);
  if (typeof request === "number") throw new Error(`cannot request: ${request}`);
  return request;
}

describe("taking commands out", () => {
  test("finds every command there is", () => {
    for (const command of COMMANDS) drop(command, 1);
    expect(taken().sort()).toEqual([...COMMANDS].sort());
  });

  test("takes the oldest first", () => {
    drop("up", 10);
    drop("down", 30);
    drop("hup", 20);
    expect(taken()).toEqual(["down", "hup", "up"]);
  });

  test("renames each to be ours, and the answer is that it goes away", () => {
    drop("hup", 1);
    taken();
    expect(list(box)).toEqual([".hup"]);
    rundir.finish("web", "hup");
    expect(list(box)).toEqual([]);
  });

  test("repeats what a predecessor has taken and not answered", () => {
    drop(".restart", 20);
    drop("down", 10);
    expect(taken()).toEqual(["restart", "down"]);
    expect(taken()).toEqual(["restart", "down"]);
  });

  test("takes a leftover and a new one of the same name for one command", () => {
    drop(".hup", 20);
    drop("hup", 10);
    drop("term", 15);
    expect(taken()).toEqual(["term", "hup"]);
  });

  test("reads what the file holds, trimmed, and no more than 4 KiB of it", () => {
    drop("hup", 2, " 3\n");
    drop("int", 1, `\xff${"x".repeat(100_000)}`);
    const [hup, int] = rundir.take("web", COMMANDS).orders;
    expect(hup).toMatchObject({ command: "hup", content: "3" });
    expect(int?.content.length).toBe(4096);
  });

  test("leaves strangers where they are, and tells of them, but not of hidden ones", () => {
    for (const name of ["HUP", "up ", "upp", "exit", ".swp", ".new", "\xff"]) {
      writeFileSync(Buffer.from(`${box}/${name}`, "latin1"), "");
    }
    drop("up", 1);
    const { orders, strangers } = rundir.take("web", COMMANDS);
    expect(orders.length).toBe(1);
    expect([...strangers].sort()).toEqual(["HUP", "exit", "up ", "upp", "\xff"]);
    expect(list(box).length).toBe(8);
  });

  test.each(Object.entries(hostile))("takes %s for no command, and removes it", (_, make) => {
    for (const file of ["down", ".up"]) make(`${box}/${file}`, bait);
    const { orders, strangers } = rundir.take("web", COMMANDS);
    expect([orders, strangers]).toEqual([[], ["down"]]);
    expect(list(box)).toEqual([]);
    expect(readFileSync(bait, "utf8")).toBe("precious\n");
  });

  test.each(["down", ".down"])(
    "is done with a directory of thousands called %s at once",
    (file) => {
      crowd(`${box}/${file}`, 3_000);
      expect(taken()).toEqual([]);
      const [aside, ...more] = list(box);
      expect([aside, more]).toEqual([expect.stringMatching(/^\.aside\./), []]);
      expect(list(`${box}/${aside}`).length).toBeGreaterThan(1_000);
      drop("down", 1);
      expect(taken()).toEqual(["down"]);
      rundir.finish("web", "down");
      expect(list(box)).toEqual([aside ?? ""]);
    },
  );

  test.each(Object.entries(hostile))("is not kept from it by %s under our name", (_, make) => {
    make(`${box}/.down`, bait);
    expect(taken()).toEqual([]);
    drop("down", 1);
    expect(taken()).toEqual(["down"]);
    rundir.finish("web", "down");
    expect(list(box)).toEqual([]);
    expect(readFileSync(bait, "utf8")).toBe("precious\n");
  });

  test("finds every command among thousands of files, in its order, and tells of some", () => {
    drop("up", 10);
    drop(".restart", 20);
    crowd(box, 5_000);
    drop("down", 30);
    drop("hup", 5);
    const { orders, strangers } = rundir.take("web", COMMANDS);
    expect(orders.map((order) => order.command)).toEqual(["down", "restart", "up", "hup"]);
    expect(strangers.length).toBeGreaterThan(100);
    expect(strangers.length).toBeLessThan(2_000);
    for (const { command } of orders) rundir.finish("web", command);
    expect(taken()).toEqual([]);
  });

  test("finds nothing where there is no drop box", () => {
    expect(rundir.take("none", COMMANDS)).toMatchObject({ orders: [], strangers: [] });
  });
});

describe("a request", () => {
  test("is answered when it was taken and finished, not before", () => {
    const request = requested("restart");
    expect(list(box)).toEqual(["restart"]);
    expect(request.isAnswered()).toBeFalse();
    taken();
    expect(request.isAnswered()).toBeFalse();
    rundir.finish("web", "restart");
    expect(request.isAnswered()).toBeTrue();
    request.close();
  });

  test("joins the same one of somebody else while that was not taken", () => {
    const [first, second] = [requested("up"), requested("up")];
    expect(list(box)).toEqual(["up"]);
    taken();
    const third = requested("up");
    expect(list(box).sort()).toEqual([".up", "up"]);
    rundir.finish("web", "up");
    expect([first, second, third].map((r) => r.isAnswered())).toEqual([true, true, false]);
    taken();
    rundir.finish("web", "up");
    expect(third.isAnswered()).toBeTrue();
    for (const request of [first, second, third]) request.close();
  });

  test("is answered by its file, not by its name", () => {
    const request = requested("up");
    renameSync(`${box}/up`, `${box}/elsewhere`);
    writeFileSync(`${box}/up`, "");
    expect(request.isAnswered()).toBeFalse();
    linkSync(`${box}/elsewhere`, `${box}/more`);
    unlinkSync(`${box}/elsewhere`);
    expect(request.isAnswered()).toBeFalse();
    unlinkSync(`${box}/more`);
    expect(request.isAnswered()).toBeTrue();
    request.close();
  });

  test("can be taken back", () => {
    const request = requested("up");
    unlinkSync(`${box}/up`);
    expect([request.isAnswered(), taken()]).toEqual([true, []]);
    request.close();
  });

  test.each(["a link", "a dangling link"])("writes through no link: %s in the way", (kind) => {
    hostile[kind]?.(`${box}/up`, bait);
    const request = rundir.request("web", "up", "gone");
    if (typeof request !== "number") request.close();
    expect(readFileSync(bait, "utf8")).toBe("precious\n");
    expect(list(dir)).not.toContain("bait.none");
  });

  test.each(Object.entries(hostile))("makes way for itself where %s stands", (_, make) => {
    make(`${box}/down`, bait);
    const request = requested("down");
    expect(list(box)).toEqual(["down"]);
    expect([request.isAnswered(), taken(), request.isAnswered()]).toEqual([false, ["down"], false]);
    rundir.finish("web", "down");
    expect(request.isAnswered()).toBeTrue();
    request.close();
    expect(readFileSync(bait, "utf8")).toBe("precious\n");
  });

  test("to nobody fails", () => {
    expect(rundir.request("none", "up")).toBe(-E.NOENT);
    expect(rundir.request(SUPERVISOR, "scan")).toBe(-E.NOENT);
  });

  test("is a file that everybody may read and only its owner write", () => {
    requested("up").close();
    expect(lstatSync(`${box}/up`).mode & 0o777).toBe(0o644);
  });

  test("has a path to name it by", () => {
    expect(rundir.requestPath("web", "up")).toBe(`${box}/up`);
    expect(rundir.requestPath(SUPERVISOR, "scan")).toBe(`${path}/.control/scan`);
  });
});

test("the supervisor has a drop box of its own, with commands that carry something", () => {
  rundir.writeSupervisorPid();
  const request = rundir.request(SUPERVISOR, "shutdown", "3");
  writeFileSync(`${path}/.control/up`, "");
  symlinkSync(bait, `${path}/.control/scan`);
  const { orders, strangers } = rundir.take(SUPERVISOR, SUPERVISOR_COMMANDS);
  expect(orders).toEqual([expect.objectContaining({ command: "shutdown", content: "3" })]);
  expect([...strangers].sort()).toEqual(["scan", "up"]);
  rundir.finish(SUPERVISOR, "shutdown");
  expect(typeof request === "number" || request.isAnswered()).toBeTrue();
});
