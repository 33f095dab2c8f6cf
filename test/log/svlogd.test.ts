/** svlogd: signals, processors, UDP, and disks that are full. */
import { describe, expect, test } from "bun:test";
import { chmodSync, rmSync, statSync, writeFileSync } from "node:fs";
import { raw, read } from "../lib/files.ts";
import { Logger, logFiles, logText, numbered, programs, run, workplace } from "../lib/logger.ts";
import { have } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";
import { isRoot, scratchDirectory } from "../unit/scratch.ts";

const { ours } = programs("svlogd");
const dir = scratchDirectory();
const [HUP, ALRM, TERM, CHLD] = [1, 14, 15, 17];

const oldFiles = (cwd: string) => logFiles(`${cwd}/log`).filter(({ name }) => name.startsWith("@"));

describe("signals", () => {
  test("are held back by every thread; ps(1) still knows its name", async () => {
    using logger = new Logger([ours, "-tt", "log"], workplace(dir));
    logger.write(numbered(0, 5_000));
    await logger.logged("line 4999\n");
    for (const signal of [HUP, ALRM, TERM, CHLD]) expect(logger.holdsBack(signal)).toBeTrue();
    expect(read(`/proc/${logger.pid}/comm`)).toBe("svlogd\n");
    expect(await logger.end()).toBe(0);
  });

  test("TERM: reads to the end of the line", async () => {
    const cwd = workplace(dir);
    using logger = new Logger([ours, "-v", "log"], cwd);
    logger.write("one\ntw");
    await logger.logged("one\n");
    logger.signal("SIGTERM");
    await until(() => logger.messages.includes("sigterm received"), "TERM");
    logger.write("o\nthree\n");
    expect(await logger.end(false)).toBe(0);
    expect(logText(`${cwd}/log`)).toBe("one\ntwo\n");
    expect(statSync(`${cwd}/log/current`).mode & 0o777).toBe(0o744);
  });

  test("ALRM: begins a new file unless the present one is empty", async () => {
    const cwd = workplace(dir);
    using logger = new Logger([ours, "log"], cwd);
    logger.write("one\n");
    await logger.logged("one\n");
    logger.signal("SIGALRM");
    await until(() => oldFiles(cwd).length === 1 && read(`${cwd}/log/current`) === "", "a file");
    logger.signal("SIGALRM");
    logger.write("two\n");
    await logger.logged("two\n");
    expect(await logger.end()).toBe(0);
    expect(oldFiles(cwd)).toEqual([{ name: "@LABEL.s", mode: "744", text: "one\n" }]);
  });

  test("HUP: reads config again, and goes on in the same file", async () => {
    const cwd = workplace(dir, "-*\n");
    using logger = new Logger([ours, "-v", "log"], cwd);
    logger.write("one\n");
    await until(() => logger.messages.includes("new: log/current"), "the start");
    writeFileSync(`${cwd}/log/config`, "pweb: \n");
    // What was written before is read before or after: only what comes later is certain.
    logger.signal("SIGHUP");
    await until(() => logger.messages.includes("append: log/current"), "HUP");
    logger.write("two\n");
    await logger.logged("web: two\n");
    writeFileSync(`${cwd}/log/config`, "");
    logger.signal("SIGHUP");
    await until(() => logger.messages.split("append: ").length === 3, "HUP");
    logger.write("three\n");
    expect(await logger.end()).toBe(0);
    expect(logText(`${cwd}/log`)).toEndWith("web: two\nthree\n");
  });

  test("HUP: with no directory left, exits with 111", async () => {
    const cwd = workplace(dir);
    using logger = new Logger([ours, "log"], cwd);
    logger.write("one\n");
    await logger.logged("one\n");
    rmSync(`${cwd}/log`, { recursive: true });
    logger.signal("SIGHUP");
    expect(await logger.end(false)).toBe(111);
    expect(logger.messages).toBe(
      "svlogd: warning: unable to open log directory: log: file does not exist\n" +
        "svlogd: fatal: no functional log directories.\n",
    );
  });
});

describe("lines", () => {
  test("without a newline at the end of the input are kept, too", async () => {
    const cwd = workplace(dir);
    await run([ours, "log"], { input: "one\ntwo", cwd });
    expect(logText(`${cwd}/log`)).toBe("one\ntwo\n");
  });

  test("have all that is not printable replaced, however long they are", async () => {
    const cwd = workplace(dir);
    await run([ours, "-r", ".", "-R", "xy", "log"], {
      input: `${"ax\x1b\xff\t".repeat(9_999)}\n`,
      cwd,
    });
    expect(logText(`${cwd}/log`)).toBe(`${"a....".repeat(9_999)}\n`);
  });

  test("are sent as datagrams", async () => {
    const packets: string[] = [];
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      socket: {
        data(_, data) {
          packets.push(data.toString("latin1"));
        },
      },
    });
    const cwd = workplace(dir, `-no*\nU127.0.0.1:${socket.port}\np> \n`);
    using logger = new Logger([ours, "-l", "10", "log"], cwd);
    logger.write("one\nnot\n\xff0123456789abc\n");
    await until(() => packets.length === 2, "two packets");
    expect(await logger.end()).toBe(0);
    expect(packets.sort()).toEqual(["> one\n", "> \xff012345678...\n"]);
    expect(logText(`${cwd}/log`)).toBe("");
    socket.close();
  });
});

describe("files", () => {
  test("are finished when they are old enough", async () => {
    const cwd = workplace(dir, "t1\n");
    using logger = new Logger([ours, "log"], cwd);
    logger.write("one\n");
    await until(() => oldFiles(cwd).length === 1, "an old file");
    expect(await logger.end()).toBe(0);
    expect(oldFiles(cwd)[0]?.text).toBe("one\n");
  });

  test("go through a processor, again if it fails", async () => {
    const cwd = workplace(dir, "!test -e ../tried || { touch ../tried; exit 1; }; tr a-z A-Z\n");
    using logger = new Logger([ours, "log"], cwd);
    logger.write("one\n");
    await logger.logged("one\n");
    logger.signal("SIGALRM");
    await until(() => oldFiles(cwd)[0]?.name === "@LABEL.s", "a processed file");
    expect(await logger.end()).toBe(0);
    expect(logger.messages).toBe("svlogd: warning: processor failed, restart: log\n");
    expect(oldFiles(cwd)).toEqual([{ name: "@LABEL.s", mode: "744", text: "ONE\n" }]);
  });

  test("that an outage has left are kept, marked as such", async () => {
    const cwd = workplace(dir);
    writeFileSync(`${cwd}/log/current`, raw("torn"));
    await run([ours, "log"], { input: "new\n", cwd });
    expect(oldFiles(cwd)).toEqual([{ name: "@LABEL.u", mode: "644", text: "torn" }]);
    expect(read(`${cwd}/log/current`)).toBe("new\n");
  });
});

describe("trouble", () => {
  test("a directory that another svlogd writes to: a warning, and the others are used", async () => {
    const cwd = workplace(dir);
    using logger = new Logger([ours, "log"], cwd);
    logger.write("one\n");
    await logger.logged("one\n");
    const words = "svlogd: warning: unable to lock directory: log: temporary failure\n";
    expect(await run([ours, "log"], { cwd })).toEqual({
      code: 111,
      out: "",
      err: `${words}svlogd: fatal: no functional log directories.\n`,
    });
    const { cwd: elsewhere } = { cwd: workplace(dir) };
    const both = await run([ours, `${cwd}/log`, "log"], { input: "two\n", cwd: elsewhere });
    expect(both.code).toBe(0);
    expect(logText(`${elsewhere}/log`)).toBe("two\n");
    expect(await logger.end()).toBe(0);
  });

  test.skipIf(isRoot)("a directory that cannot be written to", async () => {
    const cwd = workplace(dir);
    chmodSync(`${cwd}/log`, 0o555);
    const { code, err } = await run([ours, "log"], { cwd });
    expect([code, err.split("\n")[0]]).toEqual([
      111,
      "svlogd: warning: unable to lock directory: log: access denied",
    ]);
  });

  test.skipIf(!have.mounts)("a read-only file system", async () => {
    const script = `mount -t tmpfs -o ro none log && exec "$0" log`;
    const { code, err } = await run(["unshare", "-m", "sh", "-c", script, ours], {
      cwd: workplace(dir),
    });
    expect([code, err.split("\n")[0]]).toEqual([
      111,
      "svlogd: warning: unable to lock directory: log: read-only file system",
    ]);
  });

  /** Runs it on a small file system of its own; what was there in the end is in result/. */
  const onFullDisk = (cwd: string, size: string, meanwhile: string) => {
    const script = `
      mount -t tmpfs -o size=${size} none log
      cp config log
      ${meanwhile}
      wait $!
      code=$?
      cp -r log result
      exit $code`;
    return new Logger(["unshare", "-m", "sh", "-c", script, ours], cwd);
  };

  test.skipIf(!have.mounts)(
    "a full disk: waits until there is room, and loses nothing",
    async () => {
      const cwd = workplace(dir);
      const input = numbered(0, 20_000);
      writeFileSync(`${cwd}/input`, input);
      writeFileSync(`${cwd}/config`, "s20000\nn100\n");
      using logger = onFullDisk(
        cwd,
        "400k",
        `head -c 350000 /dev/zero >log/ballast
      "$0" log <input &
      until grep -q pausing stderr; do sleep 0.1; done
      rm log/ballast`,
      );
      expect(await logger.end()).toBe(0);
      expect(logText(`${cwd}/result`)).toBe(input);
      expect(logger.messages).toMatch(
        /^(svlogd: pausing: unable to write to current: log: out of disk space\n)+$/,
      );
    },
    60_000,
  );

  test.skipIf(!have.mounts)(
    "a full disk: with N, the oldest files go",
    async () => {
      const cwd = workplace(dir);
      const input = numbered(0, 20_000);
      writeFileSync(`${cwd}/input`, input);
      writeFileSync(`${cwd}/config`, "s20000\nn100\nN1\n");
      using logger = onFullDisk(cwd, "100k", `"$0" log <input &`);
      expect(await logger.end()).toBe(0);
      const found = logText(`${cwd}/result`);
      expect(input.endsWith(found)).toBeTrue();
      expect(found.length).toBeGreaterThan(20_000);
      const odd = logger.messages.split("\n").filter((line) => {
        return !/^svlogd: warning: out of disk space, delete: log\/@[0-9a-f]{24}\.s$|^$/.test(line);
      });
      expect(odd).toEqual([]);
    },
    60_000,
  );
});

test("--help prints the usage", async () => {
  const { code, out } = await run([ours, "--help"], { cwd: dir });
  expect([code, out.slice(0, 14)]).toEqual([0, "usage: svlogd "]);
});
