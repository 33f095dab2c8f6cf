/** What a path leads to, watched whether or not it is there. */
import { afterAll, describe, expect, test } from "bun:test";
import { digestOf } from "../../src/compat/pmtr/digest.ts";
import { FileWatch, stepsTo } from "../../src/compat/pmtr/file-watch.ts";
import { Watcher } from "../../src/watch.ts";
import { append, link, makeDirectory, place, remove, rename, write } from "../lib/files.ts";
import { until } from "../lib/until.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const root = scratchDirectory();
let directories = 0;

function fresh(): string {
  const dir = `${root}/${++directories}`;
  makeDirectory(dir);
  return dir;
}

const opened = Watcher.open(
  () => {},
  () => {},
);
if (typeof opened === "number") throw new Error("no inotify");
const watcher = opened;
const watches: FileWatch[] = [];
afterAll(() => {
  for (const watch of watches) watch.dispose();
});

/** Watches a path; waits until its content is seen to be another one. */
function observe(path: string) {
  let seen = digestOf(path);
  let changes = 0;
  const watch = new FileWatch(watcher, path, () => {
    const digest = digestOf(path);
    if (digest !== seen) changes++;
    seen = digest;
  });
  watches.push(watch);
  return async (act: () => void) => {
    const before = changes;
    act();
    await until(() => changes > before, `a change of ${path} is seen`);
  };
}

describe("steps", () => {
  test("each directory on the way, and links to where they lead", () => {
    const dir = fresh();
    makeDirectory(`${dir}/real`);
    link("real", `${dir}/relative`);
    link(`${dir}/real`, `${dir}/absolute`);
    const steps = (path: string) =>
      stepsTo(path)
        .map(({ dir: d, name }) => `${d}/${name}`)
        .filter((step) => step.startsWith(`${dir}/`))
        .map((step) => step.slice(dir.length + 1));
    expect(steps(`${dir}/real/x`)).toEqual(["real", "real/x"]);
    expect(steps(`${dir}/relative/x`)).toEqual(["relative", "real", "real/x"]);
    expect(steps(`${dir}/absolute/../x`)).toEqual(["absolute", "real", "x"]);
  });

  test("a loop of links ends", () => {
    const dir = fresh();
    link("b", `${dir}/a`);
    link("a", `${dir}/b`);
    expect(stepsTo(`${dir}/a/x`).length).toBeGreaterThan(2);
  });
});

describe("a change is seen", () => {
  test("when it is written, appended to, replaced, removed and made again", async () => {
    const path = `${fresh()}/file`;
    const seen = observe(path);
    await seen(() => write(path, "1"));
    await seen(() => append(path, "2"));
    await seen(() => place(path, "3"));
    await seen(() => remove(path));
    await seen(() => place(path, "4"));
    await seen(() => rename(path, `${path}~`));
    await seen(() => rename(`${path}~`, path));
  });

  test("when its directories come, go and are replaced", async () => {
    const dir = fresh();
    const path = `${dir}/a/b/file`;
    const seen = observe(path);
    await seen(() => {
      makeDirectory(`${dir}/a/b`);
      write(path, "1");
    });
    makeDirectory(`${dir}/other/b`);
    write(`${dir}/other/b/file`, "2");
    await seen(() => rename(`${dir}/a`, `${dir}/old`));
    await seen(() => rename(`${dir}/other`, `${dir}/a`));
    await seen(() => write(path, "3"));
  });

  test("through links, and when a link is swapped", async () => {
    const dir = fresh();
    for (const n of ["1", "2"]) {
      makeDirectory(`${dir}/${n}`);
      write(`${dir}/${n}/file`, n);
    }
    link("1", `${dir}/now`);
    const seen = observe(`${dir}/now/file`);
    await seen(() => write(`${dir}/1/file`, "1b"));
    link("2", `${dir}/next`);
    await seen(() => rename(`${dir}/next`, `${dir}/now`));
    await seen(() => write(`${dir}/2/file`, "2b"));
  });
});

test("the same content is the same digest, other content another one", () => {
  const dir = fresh();
  write(`${dir}/a`, "x".repeat(100_000));
  write(`${dir}/b`, "x".repeat(100_000));
  write(`${dir}/c`, `${"x".repeat(99_999)}y`);
  const [a, b, c, none] = ["a", "b", "c", "none"].map((f) => digestOf(`${dir}/${f}`));
  expect(a).toBe(b);
  expect(new Set([a, c, none, digestOf(dir)]).size).toBe(4);
});
