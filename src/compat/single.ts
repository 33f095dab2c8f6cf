/** What runsv and supervise begin with: a service directory of its own, and nobody else in it. */
import { absolutePath, basename, dirname } from "../bytes.ts";
import { Failure } from "../cli.ts";
import * as libc from "../libc.ts";
import { OneEntry } from "../oneentry.ts";
import { isServiceName } from "../rundir.ts";
import { lockSupervise, openService, openSupervise } from "./bridge-files.ts";
import type { Format } from "./bridge-format.ts";
import { awaitBridge, makeRundir } from "./frontend.ts";

/** How each of the two says what went wrong. */
type Words = Readonly<Record<"chdir" | "lock", (code: number) => string>>;

export type Single = {
  readonly sysdir: string;
  readonly rundir: string;
  readonly source: OneEntry;
};

/** Throws Failure. */
export function openSingle(directory: string, format: Format, words: Words): Single {
  const there = libc.openat(libc.AT_FDCWD, directory, libc.O.PATH | libc.O.DIRECTORY);
  if (there < 0) throw new Failure(words.chdir(there));
  libc.close(there);
  const path = absolutePath(directory);
  const name = basename(path);
  if (!isServiceName(name)) throw new Failure(`${path}: not a name for a service`);
  const service = openService(path);
  if (service === null) throw new Failure(words.chdir(-libc.E.NOENT));
  if (typeof service !== "number") throw new Failure(service.reason);
  const supervise = openSupervise(path, service);
  libc.close(service);
  if (typeof supervise !== "number") throw new Failure(supervise.reason);
  const code = whyNotFree(supervise);
  libc.close(supervise);
  if (code < 0) throw new Failure(words.lock(code));
  const sysdir = dirname(path);
  const rundir = makeRundir(`${path}/supervise`);
  for (const service of [path, `${path}/log`]) awaitBridge(service, format);
  return { sysdir, rundir, source: new OneEntry(sysdir, name) };
}

/** The bridge takes the lock, and holds it: we see only whether somebody else has it. */
function whyNotFree(supervise: number): number {
  const lock = lockSupervise(supervise);
  if (lock >= 0) libc.close(lock);
  return lock;
}
