/** What may stand in RUNDIR where a file of ours is expected. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { makeFifo } from "./scratch.ts";

/** Each makes itself at a path; `bait` is a file outside that nobody may read or change. */
export const hostile: Record<string, (path: string, bait: string) => void> = {
  "a link": (path, bait) => symlinkSync(bait, path),
  "a dangling link": (path, bait) => symlinkSync(`${bait}.none`, path),
  "a link to a directory": (path, bait) => {
    mkdirSync(`${bait}.d`, { recursive: true });
    symlinkSync(`${bait}.d`, path);
  },
  "a link to itself": (path) => symlinkSync(path, path),
  "a FIFO": (path) => makeFifo(path),
  "a directory": (path) => {
    // One by one: a link that stands there must not be followed.
    for (const level of ["", "/deep", "/deep/er"]) mkdirSync(`${path}${level}`);
  },
  "a full directory": (path) => {
    mkdirSync(path);
    for (let i = 0; i < 100; i++) writeFileSync(`${path}/${i}`, "");
  },
  // A file system of processes: reading it has no end, or an effect.
  "a link to a device": (path) => symlinkSync("/dev/zero", path),
};

export const plainHostile: Record<string, (path: string) => void> = {
  "a huge file": (path) => writeFileSync(path, "x".repeat(3_000_000)),
  "bytes that are no text": (path) => writeFileSync(path, Buffer.from([0, 255, 10, 27, 128, 61])),
  "an empty file": (path) => writeFileSync(path, ""),
};
