/** inotify: what happens in a watched directory is told, to all who watch it, byte for byte. */
import { beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { E, IN } from "../src/libc.ts";
import type { Handler, Watch } from "../src/watch.ts";
import { rename, write } from "./lib/files.ts";
import { holds, until } from "./lib/until.ts";
import { scratchDirectory } from "./unit/scratch.ts";
import { openWatcher } from "./unit/watcher.ts";

const parent = scratchDirectory();
const ALL = IN.CLOSE_WRITE | IN.MOVED_TO | IN.MOVED_FROM | IN.CREATE | IN.DELETE;

let overflows = 0;
let batches = 0;
const watcher = openWatcher(
  () => overflows++,
  () => batches++,
);
let dir: string;
let rounds = 0;
let seen: [mask: number, name: string][];
let note: Handler;

beforeEach(() => {
  dir = `${parent}/watched${++rounds}`;
  mkdirSync(dir);
  // What a test has left behind says nothing to the next.
  const mine: typeof seen = [];
  seen = mine;
  note = (mask, name) => mine.push([mask, name]);
});

function watched(path: string, mask: number, handler = note): Watch {
  const watch = watcher.add(path, mask, handler);
  if (typeof watch === "number") throw new Error(`cannot watch: ${watch}`);
  return watch;
}

/** The events come in order: when the last one is there, all are. */
async function events(): Promise<typeof seen> {
  let ended = false;
  watched(dir, IN.MOVED_FROM, (mask, name) => {
    ended ||= mask === IN.MOVED_FROM && name === ".last";
  });
  write(`${dir}/.last`, "");
  rename(`${dir}/.last`, `${parent}/last`);
  await until(() => ended, "the last event");
  return seen.filter(([, name]) => name !== ".last");
}

test("each event comes with its mask and the name, in order", async () => {
  watched(dir, ALL);
  write(`${dir}/web`, "x");
  rename(`${dir}/web`, `${dir}/db`);
  rmSync(`${dir}/db`);
  expect(await events()).toEqual([
    [IN.CREATE, "web"],
    [IN.CLOSE_WRITE, "web"],
    [IN.MOVED_FROM, "web"],
    [IN.MOVED_TO, "db"],
    [IN.DELETE, "db"],
  ]);
});

test("names are bytes, of any length", async () => {
  watched(dir, IN.CREATE);
  const names = ["\xff\xfe", "a\nb", "x".repeat(255), "y", "x".repeat(16), "x".repeat(15)];
  for (const name of names) write(`${dir}/${name}`, "");
  expect((await events()).map(([, name]) => name)).toEqual(names);
});

test("what happens to the directory itself has an empty name", async () => {
  watched(dir, IN.DELETE_SELF | IN.ATTRIB);
  rmdirSync(dir);
  await until(() => seen.some(([mask]) => mask & IN.DELETE_SELF), "the removal");
  expect(seen.every(([, name]) => name === "")).toBeTrue();
});

test("the subject given with a watch comes with its events", async () => {
  const subjects: string[] = [];
  const handler: Handler = (_mask, _name, subject) => subjects.push(subject);
  watcher.add(dir, IN.CREATE, handler, "web");
  watcher.add(dir, IN.CREATE, handler, "db");
  write(`${dir}/a`, "");
  await until(() => subjects.length === 2, "two events");
  expect(subjects.sort()).toEqual(["db", "web"]);
});

test("only what was asked for is told", async () => {
  watched(dir, IN.CLOSE_WRITE);
  write(`${dir}/a`, "");
  rmSync(`${dir}/a`);
  write(`${dir}/b`, "");
  expect(await events()).toEqual([
    [IN.CLOSE_WRITE, "a"],
    [IN.CLOSE_WRITE, "b"],
  ]);
});

test("a batch is told of after its events, not once for each", async () => {
  watched(dir, IN.CREATE);
  const before = batches;
  for (let i = 0; i < 200; i++) write(`${dir}/${i}`, "");
  await until(() => seen.length === 200, "200 events");
  await until(() => batches > before, "the end of the batch");
  expect(batches - before).toBeLessThan(10);
});

describe("two who watch the same directory", () => {
  test("are both told", async () => {
    const others: string[] = [];
    watched(dir, IN.CREATE);
    watched(`${dir}/.`, IN.DELETE, (_, name) => others.push(name));
    write(`${dir}/a`, "");
    rmSync(`${dir}/a`);
    await events();
    expect(others).toContain("a");
    expect(seen.map(([mask]) => mask)).toEqual(expect.arrayContaining([IN.CREATE, IN.DELETE]));
  });

  test("are told independently: one may go", async () => {
    const others: string[] = [];
    const other = watched(dir, IN.CREATE, (_, name) => others.push(name));
    watched(dir, IN.CREATE);
    watcher.remove(other);
    watcher.remove(other);
    write(`${dir}/a`, "");
    expect((await events()).map(([, name]) => name)).toEqual(["a"]);
    expect(others).toEqual([]);
  });

  test("one that comes while an event is told is told of the next one only", async () => {
    let calls = 0;
    watched(dir, IN.CREATE, function again() {
      calls++;
      if (calls < 1_000) watched(dir, IN.CREATE, () => again());
    });
    write(`${dir}/a`, "");
    await until(() => calls > 0, "the first event");
    await holds(() => calls === 1, "one call", 0.1);
    write(`${dir}/b`, "");
    await until(() => calls >= 3, "both are told of the next");
    await holds(() => calls === 3, "three calls", 0.1);
  });
});

test("the last one who goes takes the kernel's watch along", async () => {
  const marks = () => {
    const infos = readdirSync("/proc/self/fdinfo").map((fd) => {
      try {
        return readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
      } catch {
        return "";
      }
    });
    return infos.join("").match(/^inotify wd/gm)?.length ?? 0;
  };
  const before = marks();
  const [one, two] = [watched(dir, IN.CREATE), watched(dir, IN.DELETE, () => {})];
  const both = marks();
  expect(both).toBeGreaterThan(before);
  watcher.remove(one);
  expect(marks()).toBe(both);
  watcher.remove(two);
  expect(marks()).toBe(before);
});

test("a directory that was removed and made again is watched anew", async () => {
  const watch = watched(dir, IN.CREATE | IN.DELETE_SELF);
  rmdirSync(dir);
  await until(() => seen.some(([mask]) => mask & IN.IGNORED), "the end of the watch");
  mkdirSync(dir);
  watcher.remove(watch);
  watched(dir, IN.CREATE);
  write(`${dir}/a`, "");
  expect((await events()).filter(([mask]) => mask === IN.CREATE)).toEqual([[IN.CREATE, "a"]]);
});

test("what cannot be watched says why", () => {
  expect(watcher.add(`${dir}/none`, IN.CREATE, note)).toBe(-E.NOENT);
  writeFileSync(`${dir}/file`, "");
  expect(watcher.add(`${dir}/file`, IN.CREATE | IN.ONLYDIR, note)).toBe(-E.NOTDIR);
});

test("events that the kernel had no room for are told of", async () => {
  watched(dir, IN.CREATE | IN.DELETE);
  overflows = 0;
  const room = Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "utf8"));
  for (let i = 0; i <= room / 2; i++) {
    writeFileSync(`${dir}/a`, "");
    rmSync(`${dir}/a`);
  }
  await until(() => overflows > 0, "the overflow");
  await until(() => seen.length >= room, "the events before it");
  expect(overflows).toBe(1);
});
