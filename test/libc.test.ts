/** System calls: what the kernel says is what we get, however often it is asked. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import * as libc from "../src/libc.ts";
import { AT_FDCWD, E, O, SIGNALS } from "../src/libc.ts";
import { link, raw, write } from "./lib/files.ts";
import { ending, idle, launch, spawn } from "./unit/child.ts";
import { makeFifo, scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
const file = `${dir}/file`;
writeFileSync(file, "content");

describe("errno", () => {
  test("is that of the call, whatever ran before it", () => {
    const calls: [() => number, number][] = [
      [() => libc.openat(AT_FDCWD, `${dir}/none`, O.RDONLY), E.NOENT],
      [() => libc.openat(AT_FDCWD, `${file}/x`, O.RDONLY), E.NOTDIR],
      [() => libc.openat(AT_FDCWD, dir, O.WRONLY), E.ISDIR],
      [() => libc.mkdirat(AT_FDCWD, dir, 0o755), E.EXIST],
      [() => libc.rmdirat(AT_FDCWD, dir), E.NOTEMPTY],
      [() => libc.unlinkat(AT_FDCWD, dir), E.ISDIR],
      [() => libc.close(-1), 9],
      [() => libc.kill(2 ** 22 + 1, 0), E.SRCH],
      [() => libc.getsid(2 ** 22 + 1), E.SRCH],
      [() => libc.pidfdOpen(2 ** 22 + 1), E.SRCH],
      [() => libc.inotifyAdd(0, dir, 0), E.INVAL],
      [() => libc.executableAt(AT_FDCWD, file), E.ACCES],
      [() => spawn({ path: `${dir}/none` }), E.NOENT],
    ];
    for (let round = 0; round < 300; round++) {
      for (const [call, errno] of calls) {
        const value = call();
        if (value !== -errno) expect([round, String(call), value]).toEqual([0, "", -errno]);
      }
      if (round % 50 === 0) Bun.gc(true);
    }
  });

  test("has words", () => {
    expect(libc.strerror(-E.NOENT)).toBe("No such file or directory");
    expect(libc.strerror(E.NOENT)).toBe("No such file or directory");
  });
});

describe("paths", () => {
  const odd = `${dir}/\xff\xfe \n`;

  test("are bytes", () => {
    expect(libc.mkdirat(AT_FDCWD, odd, 0o755)).toBe(0);
    expect(libc.renameat(AT_FDCWD, odd, AT_FDCWD, `${odd}2`)).toBe(0);
    expect(readdirSync(raw(dir), "latin1" as "utf8")).toContain("\xff\xfe \n2");
    expect(libc.rmdirat(AT_FDCWD, `${odd}2`)).toBe(0);
  });

  test("are relative to a descriptor", () => {
    const fd = libc.openat(AT_FDCWD, dir, O.RDONLY | O.DIRECTORY);
    expect(libc.mkdirat(fd, "below", 0o700)).toBe(0);
    expect(statSync(`${dir}/below`).mode & 0o777).toBe(0o700);
    expect(libc.rmdirat(fd, "below")).toBe(0);
    libc.close(fd);
  });

  test("may be as long as the kernel takes them, and longer ones fail", () => {
    const long = `${"/.".repeat((4095 - dir.length) / 2)}`;
    const path = `${dir}${long}`.slice(0, 4095);
    expect(libc.openat(AT_FDCWD, path.padEnd(4095, "/"), O.PATH)).toBeGreaterThan(2);
    for (const length of [4096, 4097, 10_000]) {
      const longer = path.padEnd(length, "/");
      expect(libc.openat(AT_FDCWD, longer, O.PATH)).toBe(-E.NAMETOOLONG);
      expect(libc.lstat(longer)).toBe(-E.NAMETOOLONG);
      expect(libc.renameat(AT_FDCWD, longer, AT_FDCWD, longer)).toBe(-E.NAMETOOLONG);
    }
  });

  test("of one call do not spoil those of another: 20,000 renames", () => {
    for (let i = 0; i < 20_000; i++) {
      const [from, to] = [`${dir}/r${i % 7}${"x".repeat(i % 90)}`, `${dir}/s${i % 5}`];
      if (libc.mkdirat(AT_FDCWD, from, 0o755) < 0) throw new Error(`cannot make ${from}`);
      if (libc.renameat(AT_FDCWD, from, AT_FDCWD, to) < 0) throw new Error(`cannot make ${to}`);
      if (libc.rmdirat(AT_FDCWD, to) < 0) throw new Error(`cannot remove ${to}`);
    }
    expect(readdirSync(dir)).toEqual(["file"]);
  });
});

describe("descriptors", () => {
  test("are closed when we execute something, unless told otherwise", () => {
    const flags = (fd: number) => {
      const text = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
      return Number.parseInt(text.match(/flags:\s*(\d+)/)?.[1] ?? "", 8) & O.CLOEXEC;
    };
    const fd = libc.openat(AT_FDCWD, file, O.RDONLY);
    expect(flags(fd)).toBe(O.CLOEXEC);
    libc.setCloseOnExec(fd, false);
    expect(flags(fd)).toBe(0);
    libc.setCloseOnExec(fd, true);
    expect(flags(fd)).toBe(O.CLOEXEC);
    expect([libc.close(fd), libc.close(fd)]).toEqual([0, -9]);
  });

  test("are locked by one at a time", () => {
    const [a, b] = [openSync(file, "r"), openSync(file, "r")];
    expect([libc.lockNow(a), libc.lockNow(b)]).toEqual([0, -E.AGAIN]);
    closeSync(a);
    expect(libc.lockNow(b)).toBe(0);
    closeSync(b);
  });

  test("say whether a write would wait, and whether they are a terminal", () => {
    const fd = libc.openat(AT_FDCWD, makeFifo(`${dir}/fifo`), O.RDWR | O.NONBLOCK);
    expect(libc.writable(fd)).toBeTrue();
    while (libc.writeText(fd, "x".repeat(4096)) > 0);
    expect(libc.writable(fd)).toBeFalse();
    expect(libc.writeText(fd, "x")).toBe(-E.AGAIN);
    expect(libc.isTerminal(fd)).toBeFalse();
    libc.close(fd);
  });
});

describe("text", () => {
  test("is read as it was written, a byte per character, 4 KiB at a time", () => {
    const fd = libc.openat(AT_FDCWD, `${dir}/text`, O.RDWR | O.CREAT, 0o644);
    expect(libc.writeText(fd, "\xff\0\xe9")).toBe(3);
    expect(libc.writeText(fd, "x".repeat(5_000))).toBe(4096);
    libc.close(fd);
    expect(readFileSync(`${dir}/text`, "latin1")).toBe(`\xff\0\xe9${"x".repeat(4096)}`);
    const again = libc.openat(AT_FDCWD, `${dir}/text`, O.RDONLY);
    expect(libc.readText(again)).toBe(`\xff\0\xe9${"x".repeat(4093)}`);
    expect([libc.readText(again), libc.readText(again)]).toEqual(["xxx", ""]);
    libc.close(again);
    expect(libc.readFile(`${dir}/text`)).toBe(`\xff\0\xe9${"x".repeat(4096)}`);
    expect(libc.readFile(`${dir}/none`)).toBe(-E.NOENT);
    expect(libc.readFile(dir)).toBe(-E.ISDIR);
  });

  test("of a link is where it leads", () => {
    link("\xff/../x", `${dir}/link`);
    expect(libc.readLink(`${dir}/link`)).toBe("\xff/../x");
    expect(libc.readLink(file)).toBe(-E.INVAL);
  });
});

describe("what is told of files", () => {
  test("is what node:fs tells of them", () => {
    chmodSync(file, 0o640);
    utimesSync(file, 1_700_000_000.25, 1_600_000_000.125);
    symlinkSync("file", `${dir}/symlink`);
    mkdirSync(`${dir}/sticky`);
    chmodSync(`${dir}/sticky`, 0o1751);
    for (const path of [file, dir, `${dir}/symlink`, `${dir}/sticky`, "/dev/null", "/proc/self"]) {
      for (const [ours, theirs] of [
        [libc.stat, statSync],
        [libc.lstat, lstatSync],
      ] as const) {
        const node = theirs(path, { bigint: true });
        expect(ours(path)).toMatchObject({
          isFile: node.isFile(),
          isDirectory: node.isDirectory(),
          isLink: node.isSymbolicLink(),
          isFifo: node.isFIFO(),
          isCharacterDevice: node.isCharacterDevice(),
          mode: Number(node.mode) & 0o7777,
          uid: Number(node.uid),
          links: Number(node.nlink),
          size: Number(node.size),
          ino: node.ino,
        });
      }
    }
    const stat = libc.stat(file);
    if (typeof stat === "number") throw new Error("no stat");
    expect(stat.modified).toBe(1_600_000_000_125);
    expect(libc.stat(makeFifo(`${dir}/pipe`))).toMatchObject({ isFifo: true, isFile: false });
  });

  test("is told of descriptors too, and tells devices apart", () => {
    const fd = libc.openat(AT_FDCWD, file, O.PATH);
    expect(libc.fstat(fd)).toEqual(libc.stat(file));
    libc.close(fd);
    expect(libc.fstat(fd)).toBe(-9);
    const dev = (path: string) => {
      const stat = libc.stat(path);
      return typeof stat === "number" ? stat : stat.dev;
    };
    expect(dev("/proc")).not.toBe(dev(dir));
    expect(dev(file)).toBe(dev(dir));
  });

  test("is an error where there is nothing to tell", () => {
    expect(libc.stat(`${dir}/none`)).toBe(-E.NOENT);
    expect(libc.lstat(`${file}/x`)).toBe(-E.NOTDIR);
  });

  test("has all names of a directory, once, byte for byte", () => {
    mkdirSync(`${dir}/many`);
    const names = ["\xff", "a\nb", "x".repeat(255), ".hidden", "..x"];
    for (let i = 0; i < 5_000; i++) names.push(`${i}${"n".repeat(i % 40)}`);
    for (const name of names) write(`${dir}/many/${name}`, "");
    const read = libc.readDirectory(`${dir}/many`);
    expect(Array.isArray(read) && read.sort()).toEqual(names.sort());
    mkdirSync(`${dir}/none`);
    expect(libc.readDirectory(`${dir}/none`)).toEqual([]);
    expect(libc.readDirectory(file)).toBe(-E.NOTDIR);
  });
});

test("a pidfd stands for one process, and signals only that", async () => {
  const pid = launch(`${dir}/out`, idle);
  const pidfd = libc.pidfdOpen(pid);
  expect(pidfd).toBeGreaterThan(2);
  expect(libc.pidfdKill(pidfd, 0)).toBe(0);
  expect(libc.pidfdKill(pidfd, SIGNALS.TERM)).toBe(0);
  expect(await ending(pid)).toEqual({ code: null, signal: SIGNALS.TERM });
  expect(libc.pidfdKill(pidfd, SIGNALS.TERM)).toBe(-E.SRCH);
  libc.close(pidfd);
});

test("the limits are set as they were read", () => {
  const limits = libc.getFileLimits();
  expect(libc.setFileLimits({ ...limits, soft: 500 })).toBe(0);
  expect(libc.getFileLimits()).toEqual({ ...limits, soft: 500 });
  expect(libc.setFileLimits({ soft: limits.hard + 1, hard: limits.hard })).toBe(-E.INVAL);
  expect(libc.setFileLimits(limits)).toBe(0);
  expect(libc.getFileLimits()).toEqual(limits);
});

test("signals have the numbers that the shell gives them", () => {
  for (const [name, number] of Object.entries(SIGNALS)) {
    const { stdout } = Bun.spawnSync(["sh", "-c", `kill -l ${number}`]);
    // IO has two names, and dash does not know STKFLT.
    const told = stdout.toString().trim().replace("POLL", "IO").replace("16", "STKFLT");
    expect(told).toBe(name);
  }
});
