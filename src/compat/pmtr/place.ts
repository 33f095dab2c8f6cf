/** Where a pmtr keeps its state: a directory of its own for each configuration file. */
import { LOCK_GRACE } from "../../../config.ts";
import { absolutePath, getenv, parseCount } from "../../bytes.ts";
import { Failure } from "../../cli.ts";
import { makeDirectory, removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { E, O } from "../../libc.ts";
import * as proc from "../../proc.ts";
import { encodeName } from "./names.ts";

export type Place = {
  readonly dir: string;
  /** What the supervisor of the jobs works on: its SYSDIR and RUNDIR. */
  readonly sysdir: string;
  readonly rundir: string;
  /** A FIFO: what the supervisor says. It outlives both of its ends. */
  readonly messages: string;
};

/** `conf`: the absolute path of the configuration file. */
export function placeFor(conf: string): Place {
  return placeIn(`${absolutePath(base())}/${encodeName(conf)}`);
}

export function placeIn(dir: string): Place {
  return { dir, sysdir: `${dir}/jobs`, rundir: `${dir}/run`, messages: `${dir}/messages` };
}

function base(): string {
  const given = getenv("PMTR_RUNDIR");
  if (given) return given;
  if (process.geteuid?.() === 0) return "/run/pmtr";
  const own = getenv("XDG_RUNTIME_DIR");
  return own ? `${own}/pmtr` : `/tmp/pmtr-${process.geteuid?.()}`;
}

/** Makes it, and takes its lock for as long as we live. Throws Failure. */
export async function claimPlace(place: Place): Promise<void> {
  do makeDirectories(place);
  while (!(await lock(place)));
  const made = libc.mkfifoat(libc.AT_FDCWD, place.messages, 0o600);
  if (made < 0 && made !== -E.EXIST) {
    throw new Failure(`cannot make ${place.messages}: ${libc.strerror(made)}`);
  }
}

function makeDirectories(place: Place): void {
  const parent = place.dir.replace(/\/[^/]*$/s, "");
  for (const dir of [parent, place.dir, place.sysdir, place.rundir]) {
    const code = makeDirectory(dir, 0o700);
    if (code < 0) throw new Failure(`cannot make ${dir}: ${libc.strerror(code)}`);
    const stat = libc.lstat(dir);
    const safe =
      typeof stat !== "number" &&
      stat.isDirectory &&
      stat.uid === process.geteuid?.() &&
      (stat.mode & 0o022) === 0;
    if (!safe) throw new Failure(`cannot use ${dir}: it is not ours alone`);
  }
}

/** The lock holds the pid of who has it. False: its last holder has removed it, try again. */
async function lock({ dir }: Place): Promise<boolean> {
  const path = `${dir}/lock`;
  const fd = libc.openat(libc.AT_FDCWD, path, O.RDWR | O.CREAT | O.NOFOLLOW, 0o600);
  if (fd === -E.NOENT) return false;
  const code = fd < 0 ? fd : await lockSoon(fd, path);
  if (code === -E.AGAIN) throw new Failure(`cannot lock ${dir}: another pmtr works there`);
  if (code < 0) throw new Failure(`cannot lock ${dir}: ${libc.strerror(code)}`);
  const [mine, found] = [libc.fstat(fd), libc.lstat(path)];
  const same = typeof mine !== "number" && typeof found !== "number" && mine.ino === found.ino;
  if (same) libc.overwriteBytes(fd, Buffer.from(`${String(process.pid).padEnd(10)}\n`));
  else libc.close(fd);
  return same;
}

/** One that was killed has the lock until the kernel has buried it. */
async function lockSoon(fd: number, path: string): Promise<number> {
  for (const deadline = performance.now() + LOCK_GRACE; ; await Bun.sleep(10)) {
    const code = libc.lockNow(fd);
    if (code !== -E.AGAIN) return code;
    const text = libc.readFile(path);
    const holder = typeof text === "string" ? parseCount(text.trim()) : null;
    const stat = holder === null ? null : proc.readStat(holder);
    const lives = stat !== null && stat.state !== "Z";
    if (lives || performance.now() > deadline) return code;
  }
}

/** When nothing runs any more; the lock goes last but for the directory. */
export function leavePlace(place: Place): void {
  removeFile(place.messages);
  libc.rmdirat(libc.AT_FDCWD, place.sysdir);
  libc.rmdirat(libc.AT_FDCWD, place.rundir);
  removeFile(`${place.dir}/lock`);
  libc.rmdirat(libc.AT_FDCWD, place.dir);
}
