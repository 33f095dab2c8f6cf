/** multilog: signals, files that are in the way, and disks that are full. */
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { read } from "../lib/files.ts";
import { Logger, logFiles, logText, numbered, programs, run, workplace } from "../lib/logger.ts";
import { have } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";
import { isRoot, scratchDirectory } from "../unit/scratch.ts";

const { ours } = programs("multilog");
const dir = scratchDirectory();
const [ALRM, TERM] = [14, 15];

describe("signals", () => {
  test("are held back by every thread, so that none is lost and none kills", async () => {
    using logger = new Logger([ours, "./log"], workplace(dir));
    logger.write(numbered(0, 5_000));
    await logger.logged("line 4999\n");
    expect([logger.holdsBack(TERM), logger.holdsBack(ALRM)]).toEqual([true, true]);
    expect(await logger.end()).toBe(0);
  });

  test("TERM: reads to the end of the line, and leaves the rest of the input to others", async () => {
    const cwd = workplace(dir);
    // The shell reads on from the same pipe.
    using logger = new Logger(["sh", "-c", `"$0" t ./log; cat >rest`, ours], cwd);
    logger.write("one\ntw");
    await logger.logged("one\n");
    const pid = await until(() => {
      const children = read(`/proc/${logger.pid}/task/${logger.pid}/children`) ?? "";
      return Number(children.split(" ")[0]);
    }, "multilog's pid");
    process.kill(pid, "SIGTERM");
    logger.write("o\nthree\nfour\n");
    expect(await logger.end()).toBe(0);
    expect(logText(`${cwd}/log`)).toBe("@LABEL one\n@LABEL two\n");
    expect(read(`${cwd}/rest`)).toBe("three\nfour\n");
    expect(statSync(`${cwd}/log/current`).mode & 0o777).toBe(0o744);
  });

  test("TERM: ends at once between two lines", async () => {
    using logger = new Logger([ours, "./log"], workplace(dir));
    logger.write("one\n");
    await logger.logged("one\n");
    logger.signal("SIGTERM");
    expect(await logger.end(false)).toBe(0);
  });

  test("ALRM: begins a new file unless the present one is empty", async () => {
    const cwd = workplace(dir);
    using logger = new Logger([ours, "./log"], cwd);
    const old = () => logFiles(`${cwd}/log`).filter(({ name }) => name.startsWith("@"));
    logger.write("one\n");
    await logger.logged("one\n");
    logger.signal("SIGALRM");
    await until(() => old().length === 1 && read(`${cwd}/log/current`) === "", "a new file");
    logger.signal("SIGALRM");
    logger.write("two\n");
    await logger.logged("two\n");
    expect(await logger.end()).toBe(0);
    expect(old()).toEqual([{ name: "@LABEL.s", mode: "744", text: "one\n" }]);
  });
});

describe("files", () => {
  test("have the size that is asked for, end with lines, and as many are kept as is said", async () => {
    const cwd = workplace(dir);
    const input = numbered(0, 20_000);
    await run([ours, "s5000", "n1000", "./log", "n4", "./few"], { input, cwd });
    expect(logText(`${cwd}/log`)).toBe(input);
    const old = logFiles(`${cwd}/log`).filter(({ name }) => name.startsWith("@"));
    const odd = old.filter(({ text }) => {
      return text.length < 3_000 || text.length > 5_000 || !text.endsWith("\n");
    });
    expect(odd).toEqual([]);
    expect(logFiles(`${cwd}/few`).filter(({ name }) => name.startsWith("@"))).toHaveLength(3);
    expect(input.endsWith(logText(`${cwd}/few`))).toBeTrue();
  });

  test("of status hold the last line, padded", async () => {
    const cwd = workplace(dir);
    const input = `${"x".repeat(1_200)}\nSTAT ok\nother\n`;
    await run([ours, "-*", "+STAT*", "=status"], { input, cwd });
    expect(read(`${cwd}/status`)).toBe(`STAT ok${"\n".repeat(994)}`);
  });

  test("go through a processor, which sees again what it has written to descriptor 5", async () => {
    const cwd = workplace(dir);
    const processor = "!cat <&4; wc -l >&5; echo processed";
    const input = numbered(0, 1_000);
    await run([ours, "s4096", processor, "./log"], { input, cwd });
    const [first, second] = logFiles(`${cwd}/log`);
    expect(first).toEqual({ name: "@LABEL.s", mode: "744", text: "processed\n" });
    expect(second?.text).toMatch(/^\d+\nprocessed\n$/);
  });
});

describe("trouble", () => {
  test("a directory that another multilog writes to: exit 111, nothing read", async () => {
    const cwd = workplace(dir);
    using logger = new Logger([ours, "./log"], cwd);
    logger.write("one\n");
    await logger.logged("one\n");
    expect(await run([ours, "./log"], { input: "two\n", cwd })).toEqual({
      code: 111,
      out: "",
      err: "multilog: fatal: unable to lock directory ./log: temporary failure\n",
    });
    expect(await logger.end()).toBe(0);
    expect(logText(`${cwd}/log`)).toBe("one\n");
  });

  test("a directory that is removed meanwhile: what was open is written to", async () => {
    const cwd = workplace(dir);
    using logger = new Logger([ours, "./log", "./other"], cwd);
    logger.write("one\n");
    await logger.logged("one\n");
    rmSync(`${cwd}/log`, { recursive: true });
    logger.write("two\n");
    expect(await logger.end()).toBe(0);
    expect(logText(`${cwd}/other`)).toBe("one\ntwo\n");
  });

  test("a processor that fails is run again until it does not", async () => {
    const cwd = workplace(dir);
    const processor = "!test -e ../tried || { touch ../tried; exit 1; }; cat";
    using logger = new Logger([ours, processor, "./log"], cwd);
    logger.write("one\n");
    await logger.logged("one\n");
    logger.signal("SIGALRM");
    expect(await logger.end()).toBe(0);
    expect(logger.messages).toBe("multilog: warning: processor failed in ./log, pausing\n");
    expect(logFiles(`${cwd}/log`)[0]).toEqual({ name: "@LABEL.s", mode: "744", text: "one\n" });
  });

  test.skipIf(isRoot)("a directory that cannot be written to: exit 111", async () => {
    const cwd = workplace(dir);
    chmodSync(`${cwd}/log`, 0o555);
    const { code, err } = await run([ours, "./log"], { cwd });
    expect([code, err]).toEqual([
      111,
      "multilog: fatal: unable to lock directory ./log: access denied\n",
    ]);
  });

  test.skipIf(!have.mounts)("a read-only file system: exit 111", async () => {
    const script = `mount -t tmpfs -o ro none log && exec "$0" ./log`;
    const { code, err } = await run(["unshare", "-m", "sh", "-c", script, ours], {
      cwd: workplace(dir),
    });
    expect([code, err]).toEqual([
      111,
      "multilog: fatal: unable to lock directory ./log: read-only file system\n",
    ]);
  });

  test.skipIf(!have.mounts)(
    "a full disk: waits until there is room, and loses nothing",
    async () => {
      const cwd = workplace(dir);
      const input = numbered(0, 20_000);
      writeFileSync(`${cwd}/input`, input);
      const script = `
      mount -t tmpfs -o size=400k none log
      head -c 350000 /dev/zero >log/ballast
      "$0" t n100 ./log <input &
      until grep -q pausing stderr; do sleep 0.1; done
      kill -TERM $!
      rm log/ballast
      wait $!
      code=$?
      cp -r log result
      exit $code`;
      using logger = new Logger(["unshare", "-m", "sh", "-c", script, ours], cwd);
      expect(await logger.end()).toBe(0);
      expect(logText(`${cwd}/result`)).toStartWith("@LABEL line 0\n@LABEL line 1\n");
      // TERM came while it paused: it wrote what it had read, and left the rest.
      const found = logText(`${cwd}/result`).replaceAll("@LABEL ", "");
      expect(input.startsWith(found)).toBeTrue();
      expect(found.length).toBeGreaterThan(50_000);
      expect(logger.messages).toMatch(
        /^(multilog: warning: unable to write to \.\/log\/current, pausing: out of disk space\n)+$/,
      );
    },
    60_000,
  );
});

test("memory stays where it is, however much is read", async () => {
  const cwd = workplace(dir);
  mkdirSync(`${cwd}/other`);
  // Its input goes on until it was measured.
  const lines = 'yes "$(seq 40)" | head -c 60000000';
  using logger = new Logger(
    ["sh", "-c", `{ ${lines}; cat; } | exec "$0" t -* +1* =st ./log`, ours],
    cwd,
  );
  const pids = () =>
    (read(`/proc/${logger.pid}/task/${logger.pid}/children`) ?? "").trim().split(" ");
  const anonymous = (pid: string) => {
    const text = read(`/proc/${pid}/cmdline`)?.startsWith(ours)
      ? read(`/proc/${pid}/status`)
      : null;
    return Number(text?.match(/RssAnon:\s*(\d+)/)?.[1] ?? 0);
  };
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, ...pids().map(anonymous));
  }, 20);
  await until(() => most > 0, "it is measured");
  expect(await logger.end()).toBe(0);
  clearInterval(timer);
  expect(most).toBeWithin(1, 60_000);
});

test("--help, as the only action, prints the usage", async () => {
  const { code, out } = await run([ours, "--help"], { cwd: dir });
  expect([code, out.split("\n")[0]]).toEqual([0, "usage: multilog ACTION ..."]);
});
