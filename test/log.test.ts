/** The supervisor's messages: whole lines, never waiting for a reader, never lost in silence. */
import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { LOG_BUFFER } from "../config.ts";
import * as libc from "../src/libc.ts";
import { descriptors } from "./lib/processes.ts";
import { holds, until } from "./lib/until.ts";
import { ending, launch, outputOf, script } from "./unit/child.ts";
import { makeFifo, scratchDirectory } from "./unit/scratch.ts";

const dir = scratchDirectory();
let fifos = 0;

function writeLog(...args: (string | number)[]) {
  return script("write-log.ts", ...args.map(String));
}

/** A pipe that we can read without waiting, and fill. */
class Pipe {
  readonly path = makeFifo(`${dir}/fifo${fifos++}`);
  readonly fd = openSync(this.path, constants.O_RDWR | constants.O_NONBLOCK);
  /** What children get as their standard error: waiting, as pipes do. */
  readonly end = openSync(this.path, constants.O_WRONLY);
  text = "";

  /** Until not even a byte fits. */
  fill(): number {
    let filled = 0;
    for (const size of [4096, 1]) {
      try {
        for (;;) filled += writeSync(this.fd, "\n".repeat(size));
      } catch {
        // full
      }
    }
    return filled;
  }

  /** Reads up to so many bytes of what is there. */
  drain(limit = 1 << 20): number {
    const buffer = Buffer.alloc(limit);
    try {
      const n = readSync(this.fd, buffer);
      this.text += buffer.toString("latin1", 0, n);
      return n;
    } catch {
      return 0;
    }
  }

  get lines(): string[] {
    return this.text.split("\n").filter((line) => line !== "");
  }

  close(): void {
    closeSync(this.fd);
    closeSync(this.end);
  }
}

describe("messages", () => {
  const text = (levels: string[]) => levels.map((level) => `sysmgr: ${level} 0 \n`).join("");
  test.each([
    ["error", ["error"]],
    ["info", ["error", "info"]],
    ["debug", ["error", "info", "debug"]],
  ])("at level %s are those of %j", async (level, levels) => {
    const output = await outputOf(`${dir}/out`, writeLog(level, 1));
    expect(output.replace(/^\d+\n/m, "")).toBe(text(levels));
  });

  test("of any length arrive whole", async () => {
    const output = await outputOf(`${dir}/out`, writeLog("error", 3, 20_000));
    const lines = output.split("\n").filter((line) => line.startsWith("sysmgr: "));
    expect(lines.map((line) => line.length)).toEqual(Array(3).fill(20_016));
  });
});

describe("a pipe that nobody reads", () => {
  test("does not hold us up, and is told of once somebody does", async () => {
    const pipe = new Pipe();
    pipe.fill();
    const child = launch(`${dir}/took`, {
      ...writeLog("error", 5_000, 100, 60_000),
      fds: [[pipe.end, 2]],
    });
    await until(() => readFileSync(`${dir}/took`, "latin1"), "the end of its writing");
    await until(() => pipe.drain() === 0 && /messages were lost/.test(pipe.text), "the rest");
    // Told once, and then there is nothing more to tell.
    await holds(() => pipe.drain() === 0, "silence", 1.2);
    process.kill(child, "SIGKILL");
    await ending(child);
    const { lines } = pipe;
    const last = lines.pop() ?? "";
    const lost = Number(last.match(/^sysmgr: (\d+) messages were lost/)?.[1]);
    expect(lines.filter((line) => !/^sysmgr: error \d+ x{100}$/.test(line))).toEqual([]);
    expect(lines.length + lost).toBe(5_000);
    expect(lines.join("\n").length).toBeWithin(LOG_BUFFER - 200, LOG_BUFFER);
    pipe.close();
  });

  test("is opened once more, for us alone: its way of waiting is not ours to change", async () => {
    const pipe = new Pipe();
    pipe.fill();
    const child = launch(`${dir}/took`, { ...writeLog("error", 10), fds: [[pipe.end, 2]] });
    await until(() => readFileSync(`${dir}/took`, "latin1"), "the end of its writing");
    const waits = (pid: number | "self", fd: number) => {
      const text = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1");
      const flags = Number.parseInt(text.match(/flags:\s*(\d+)/)?.[1] ?? "", 8);
      return (flags & constants.O_NONBLOCK) === 0;
    };
    const theirs = [...descriptors(child)].filter(([, path]) => path === pipe.path);
    expect(theirs.map(([fd]) => waits(child, fd))).toEqual([true, false]);
    expect(waits("self", pipe.end)).toBeTrue();
    process.kill(child, "SIGKILL");
    await ending(child);
    pipe.close();
  });

  test("tears no line where somebody else writes into it too", async () => {
    const pipe = new Pipe();
    pipe.fill();
    const child = launch(`${dir}/took`, {
      ...writeLog("error", 500, 61, 60_000),
      fds: [[pipe.end, 2]],
    });
    await until(() => readFileSync(`${dir}/took`, "latin1"), "the end of its writing");
    // A page is free: a piece of theirs fits, then some of ours, then the next piece.
    for (let piece = 0; piece < 2; piece++) {
      pipe.drain(4096);
      await until(() => !libc.writable(pipe.fd), "a piece");
      pipe.drain(4096);
      writeSync(pipe.fd, "other\n");
    }
    await until(() => pipe.drain() === 0 && /error 499 /.test(pipe.text), "the last message");
    process.kill(child, "SIGKILL");
    await ending(child);
    const torn = pipe.lines.filter((line) => !/^(sysmgr: error \d+ x{61}|other)$/.test(line));
    expect(torn).toEqual([]);
    expect(pipe.lines.filter((line) => line === "other")).toHaveLength(2);
    pipe.close();
  });

  test("and never will is no reason to die", async () => {
    const path = makeFifo(`${dir}/broken`);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    closeSync(reader);
    const change = { ...writeLog("error", 5_000, 100, 0), fds: [[writer, 2] as const] };
    expect(await ending(launch(`${dir}/took`, change))).toEqual({ code: 0, signal: null });
    closeSync(writer);
  });
});

test.each(["2>&-", "2<>/dev/full", "2</dev/null"])(
  "a standard error of %s is no reason to die",
  async (redirection) => {
    const { path = "", argv = [] } = writeLog("error", 100, 0, 0);
    const command = `exec "$@" ${redirection}`;
    const output = await outputOf(`${dir}/out`, {
      argv: ["sh", "-c", `${command} || exit`, "sh", path, ...argv.slice(1)],
    });
    expect(output).toMatch(/^\d+\n$/);
  },
);
