/** Starting and reaping: what a child gets, what it does not get, and how it is said that it ended. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from "node:fs";
import * as libc from "../src/libc.ts";
import { E, SIGNALS } from "../src/libc.ts";
import { write } from "./lib/files.ts";
import { until } from "./lib/until.ts";
import { type Child, ending, exitOf, idle, launch, outputOf, sh, spawn } from "./unit/child.ts";
import { scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
const output = (child: Child) => outputOf(`${dir}/out`, child);

/** The numbers of our own descriptors. */
function descriptors(): number[] {
  return readdirSync("/proc/self/fd").map(Number);
}

function status(text: string, key: string): bigint {
  return BigInt(`0x${text.match(new RegExp(`^${key}:\\s*([0-9a-f]+)$`, "m"))?.[1] ?? "bad"}`);
}

describe("a child", () => {
  test("gets its arguments and its environment, byte for byte, and nothing else", async () => {
    const text = await output({
      path: "/bin/cat",
      argv: ["\xff\xfe", "/proc/self/cmdline", "/proc/self/environ"],
      env: ["A=\xe9\n", "B=", "="],
    });
    expect(text).toBe("\xff\xfe\0/proc/self/cmdline\0/proc/self/environ\0A=\xe9\n\0B=\0=\0");
  });

  test("may have no argument and no variable at all, or very many", async () => {
    const many = Array.from({ length: 3_000 }, (_, i) => `argument ${i} ${"x".repeat(i % 50)}`);
    expect(await output({ ...sh('echo "$#"', ...many) })).toBe("3000\n");
    expect(await output({ path: "/usr/bin/env", argv: ["env"], env: [] })).toBe("");
    const env = many.map((word, i) => `V${i}=${word}`);
    expect(await output({ path: "/usr/bin/env", argv: ["env"], env })).toBe(`${env.join("\n")}\n`);
  });

  test("leads a session of its own", async () => {
    const pid = launch(`${dir}/out`, idle);
    expect(libc.getsid(pid)).toBe(pid);
    libc.kill(pid, SIGNALS.KILL);
    await ending(pid);
  });

  test("has every signal at default, and none blocked", async () => {
    // Ours are not: the runtime ignores PIPE, and this one here is caught.
    process.on("SIGUSR1", () => {});
    const own = readFileSync("/proc/self/status", "utf8");
    expect(status(own, "SigCgt") | status(own, "SigIgn")).not.toBe(0n);
    const text = await output({ path: "/bin/cat", argv: ["cat", "/proc/self/status"] });
    const keys = ["SigBlk", "SigIgn", "SigCgt"];
    expect(keys.map((key) => status(text, key))).toEqual([0n, 0n, 0n]);
  });

  test("has the descriptors that it was given, and no other", async () => {
    const file = libc.openat(libc.AT_FDCWD, dir, libc.O.RDONLY | libc.O.DIRECTORY);
    const child = { path: "/bin/ls", argv: ["ls", "/proc/self/fd"] };
    // ls has one more: the directory that it reads.
    expect(await output(child)).toBe("0\n1\n2\n3\n");
    expect(await output({ ...child, fds: [[file, 7]] })).toBe("0\n1\n2\n3\n7\n");
    const link = { path: "/bin/readlink", argv: ["readlink", "/proc/self/fd/0"] };
    expect(await output({ ...link, fds: [[file, 0]] })).toBe(`${dir}\n`);
    libc.close(file);
  });

  test("has them though ours are above its limit", async () => {
    const { AT_FDCWD, O } = libc;
    const held = Array.from({ length: 20 }, () =>
      libc.openat(AT_FDCWD, dir, O.RDONLY | O.DIRECTORY),
    );
    const link = { path: "/bin/readlink", argv: ["readlink", "/proc/self/fd/0"] };
    const limits = { soft: 10, hard: libc.getFileLimits().hard };
    expect(await output({ ...link, fds: [[held.at(-1) ?? -1, 0]], limits })).toBe(`${dir}\n`);
    for (const fd of held) libc.close(fd);
  });

  test("has the working directory that it was given", async () => {
    mkdirSync(`${dir}/work`, { recursive: true });
    const pwd = { path: "/bin/pwd", argv: ["pwd", "-P"] };
    expect(await output({ ...pwd, cwd: `${dir}/work` })).toBe(`${dir}/work\n`);
    expect(await output(pwd)).toBe(`${readlinkSync("/proc/self/cwd")}\n`);
    write(`${dir}/work/run`, "#!/bin/sh\npwd\n", 0o755);
    const run = { path: "./run", argv: ["./run"], cwd: `${dir}/work` };
    expect(await output(run)).toBe(`${dir}/work\n`);
  });

  test("has the limits and the umask that it was given, and we keep ours", async () => {
    const [limits, umask] = [libc.getFileLimits(), process.umask()];
    const given = { soft: 123, hard: limits.hard };
    const text = await output({ ...sh("ulimit -n; umask"), limits: given, umask: 0o137 });
    expect(text).toBe("123\n0137\n");
    const failed = spawn({ path: `${dir}/none`, limits: given, umask: 0o137 });
    expect(failed).toBe(-E.NOENT);
    expect([libc.getFileLimits(), process.umask()]).toEqual([limits, umask]);
  });

  test("without #! is given to sh, with its arguments", async () => {
    write(`${dir}/script`, 'echo "$0|$1|$2"\n', 0o755);
    const text = await output({ path: `${dir}/script`, argv: ["script", "a b", "\xff"] });
    expect(text).toBe(`${dir}/script|a b|\xff\n`);
    write(`${dir}/empty`, "", 0o755);
    const pid = launch(`${dir}/out`, { path: `${dir}/empty`, argv: ["empty"] });
    expect(await ending(pid)).toEqual({ code: 0, signal: null });
  });
});

describe("a start that fails", () => {
  const failures: [string, Child, number][] = [
    ["of nothing", { path: `${dir}/none` }, E.NOENT],
    ["of a directory", { path: dir }, E.ACCES],
    ["of a file without x", { path: `${dir}/plain` }, E.ACCES],
    ["of a missing interpreter", { path: `${dir}/lost` }, E.NOENT],
    ["of a loop of links", { path: `${dir}/loop` }, E.LOOP],
    ["through a file", { path: `${dir}/plain/x` }, E.NOTDIR],
    ["in a missing directory", { cwd: `${dir}/none` }, E.NOENT],
    ["of too many arguments", { argv: ["sh", "x".repeat(3_000_000)] }, 7],
  ];
  write(`${dir}/plain`, "#!/bin/sh\n", 0o644);
  write(`${dir}/lost`, "#!/no/such/thing\n", 0o755);
  symlinkSync("loop", `${dir}/loop`);

  test.each(failures)("%s gives its errno", (_, child, errno) => {
    expect(spawn(child)).toBe(-errno);
  });

  test("of a program that is being written gives its errno", () => {
    write(`${dir}/busy`, "#!/bin/sh\n", 0o755);
    const fd = libc.openat(libc.AT_FDCWD, `${dir}/busy`, libc.O.WRONLY);
    expect(spawn({ path: `${dir}/busy` })).toBe(-E.TXTBSY);
    libc.close(fd);
  });

  test("leaves nothing behind, 2,000 times: no descriptor, no child", () => {
    const before = descriptors();
    for (let i = 0; i < 2_000; i++) {
      const [, child, errno] = failures[i % (failures.length - 1)] ?? ["", {}, 0];
      expect(spawn(child)).toBe(-errno);
    }
    expect(descriptors()).toEqual(before);
    expect(libc.reap()).toBeNull();
  });
});

describe("reaping", () => {
  test("tells exit codes from signals", async () => {
    const ends = ["exit 0", "exit 1", "exit 255", "kill -TERM $$", "kill -KILL $$", "kill -64 $$"];
    const pids = ends.map((end) => launch(`${dir}/out`, sh(end)));
    const told = [];
    for (const pid of pids) told.push(await ending(pid));
    expect(told).toEqual([
      { code: 0, signal: null },
      { code: 1, signal: null },
      { code: 255, signal: null },
      { code: null, signal: SIGNALS.TERM },
      { code: null, signal: SIGNALS.KILL },
      { code: null, signal: 64 },
    ]);
  });

  test("tells a core dump from its signal", async () => {
    const pid = launch(`${dir}/out`, { ...sh("ulimit -c 1; kill -SEGV $$"), cwd: dir });
    expect(await ending(pid)).toEqual({ code: null, signal: SIGNALS.SEGV });
  });

  test("does not wait, and is not fooled by one that was stopped", async () => {
    const pid = launch(`${dir}/out`, idle);
    libc.kill(pid, SIGNALS.STOP);
    const stopped = () => /^State:\s*T/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    await until(stopped, "its stop");
    expect(exitOf(pid)).toBeUndefined();
    libc.kill(pid, SIGNALS.KILL);
    expect(await ending(pid)).toEqual({ code: null, signal: SIGNALS.KILL });
    expect(libc.reap()).toBeNull();
  });

  test("finds the orphans of our children once we are their reaper", async () => {
    libc.becomeSubreaper();
    const orphan = Number(await output(sh("sleep 0.1 & echo $!")));
    expect(await ending(orphan)).toEqual({ code: 0, signal: null });
  });

  test("loses none of 300 that end together", async () => {
    const pids = Array.from({ length: 300 }, (_, i) => launch(`${dir}/out`, sh(`exit ${i % 256}`)));
    const codes = [];
    for (const pid of pids) codes.push((await ending(pid)).code);
    expect(codes).toEqual(pids.map((_, i) => i % 256));
  });
});

test("arguments stay whole while the collector runs", async () => {
  const word = "0123456789".repeat(50);
  for (let i = 0; i < 200; i++) {
    const env = [`A=${word}${i}`, `B=${i}`];
    const pid = launch(`${dir}/out${i}`, { ...sh('echo "$1 $A $B"', `${word}${i}`), env });
    if (i % 20 === 0) Bun.gc(true);
    await ending(pid);
    expect(readFileSync(`${dir}/out${i}`, "latin1")).toBe(`${word}${i} ${word}${i} ${i}\n`);
  }
});
