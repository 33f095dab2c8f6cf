/** runsvdir, svscan, runsv and supervise in tests: ours and Debian's, on directories of their own. */
import { expect } from "bun:test";
import { closeSync, openSync, statSync } from "node:fs";
import { constants } from "node:os";
import { exists, makeDirectory, place, read } from "./files.ts";
import { caught, kill, lives } from "./processes.ts";
import { BIN, type Outcome, type Sandbox } from "./sandbox.ts";
import { scenario } from "./scenario.ts";
import { until } from "./until.ts";

/** Where Debian has put the original. */
export function original(program: string): string {
  return `/usr/bin/${program}`;
}

export const have = {
  runit: ["runsvdir", "runsv", "sv"].every((program) => exists(original(program))),
  daemontools: ["svscan", "supervise", "svc", "svstat", "svok"].every((program) =>
    exists(original(program)),
  ),
};

/** Only KILL ends it. */
export const DEAF = "trap '' TERM HUP INT QUIT ALRM USR1 USR2\nexec sleep 3600";

/** Makes a service directory below a directory; files whose text begins with #! can be executed. */
export function serviceDirectory(
  parent: string,
  name: string,
  run = "exec sleep 3600",
  files: Readonly<Record<string, string>> = {},
): string {
  const path = `${parent}/${name}`;
  makeDirectory(path);
  for (const [file, text] of Object.entries(files)) {
    if (file.includes("/")) makeDirectory(`${path}/${file.replace(/\/[^/]*$/, "")}`);
    place(`${path}/${file}`, text, text.startsWith("#!") ? 0o755 : 0o644);
  }
  place(`${path}/run`, `#!/bin/sh\n${run}\n`, 0o755);
  return path;
}

let outputs = 0;

export class FrontEnd {
  private constructor(
    private readonly box: Sandbox,
    private readonly child: Bun.Subprocess,
    private readonly isOurs: boolean,
    readonly output: string,
  ) {}

  /** Ours by name, or any by path. */
  static start(
    box: Sandbox,
    [program = "", ...args]: readonly string[],
    options: { env?: Record<string, string>; cwd?: string } = {},
  ): FrontEnd {
    const output = `${box.dir}/frontend.${++outputs}`;
    const fd = openSync(output, "a");
    const isOurs = !program.includes("/");
    const child = Bun.spawn([isOurs ? `${BIN}/${program}` : program, ...args], {
      env: { ...box.environment, ...options.env },
      cwd: options.cwd ?? "/",
      stdio: ["ignore", fd, fd],
    });
    closeSync(fd);
    return new FrontEnd(box, child, isOurs, output);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** What it, and its services, have said; but for a want of inotify instances, which may be ours. */
  get messages(): string {
    const lines = (read(this.output) ?? "").split(/(?<=\n)/);
    const scarce = /: cannot watch files: .*; looking every second instead\n$/;
    return lines.filter((line) => !scarce.test(line)).join("");
  }

  signal(signal: NodeJS.Signals): void {
    kill(this.pid, signal);
  }

  /** Its exit code, or the signal that ended it. */
  async ended(): Promise<number | string> {
    await until(
      () => this.child.exitCode !== null || this.child.signalCode !== null,
      "the front end ends",
    );
    return this.child.signalCode ?? this.child.exitCode ?? "";
  }

  /** One of ours is asked to end once it listens: until then a signal would be the end of it. */
  async end(signal: NodeJS.Signals): Promise<number | string> {
    const listens = () => caught(this.pid).includes(constants.signals[signal]) || !lives(this.pid);
    if (this.isOurs && signal !== "SIGKILL") await until(listens, `it listens to ${signal}`);
    this.signal(signal);
    return await this.ended();
  }

  /** The bridge of one of ours. */
  get bridge(): number | null {
    const children = read(`/proc/${this.pid}/task/${this.pid}/children`) ?? "";
    const isBridge = (pid: string) =>
      (read(`/proc/${pid}/cmdline`) ?? "").startsWith("sysmgr-bridge\0");
    const found = children.split(" ").find((pid) => pid !== "" && isBridge(pid));
    return found === undefined ? null : Number(found);
  }

  toString(): string {
    return `${this.box.dir}: ${this.messages}`;
  }
}

/** What a service directory tells those who know the originals. */
export class Supervised {
  constructor(readonly path: string) {}

  file(name: string): string | null {
    return read(`${this.path}/supervise/${name}`);
  }

  get stat(): string | undefined {
    return this.file("stat")?.trimEnd();
  }

  get pid(): number {
    return Number(this.file("pid") ?? 0);
  }

  /** The flags of the binary status; whether there is a pid stands for the pid. */
  get flags(): string {
    const bytes = Buffer.from(this.file("status") ?? "", "latin1");
    if (bytes.length < 18) return "";
    const pid = bytes.readUInt32LE(12) === 0 ? "none" : "pid";
    return `${bytes.length} ${pid} ${[...bytes.subarray(16)].join(" ")}`;
  }

  async is(stat: string): Promise<void> {
    await until(() => this.stat === stat, `${this.path} is "${stat}", not "${this.stat}"`).catch(
      (error) => {
        throw new Error(`${error.message}; it is ${this.stat}`);
      },
    );
  }

  /** Waits until its supervisor, or the bridge, has locked it and can be talked to. */
  async served(box: Sandbox): Promise<this> {
    const ok = `${this.path}/supervise/ok`;
    const open = ["sh", "-c", `[ -p "$0" ] && timeout 1 sh -c ': >"$0"' "$0"`, ok];
    for (;;) {
      await until(() => this.isLocked && this.flags !== "", `${this.path} is served`);
      const { code } = await box.run(open);
      if (code === 0) return this;
    }
  }

  private get isLocked(): boolean {
    const stat = statSync(`${this.path}/supervise/lock`, { throwIfNoEntry: false });
    const locks = read("/proc/locks") ?? "";
    return stat !== undefined && new RegExp(`FLOCK .*:${stat.ino} `).test(locks);
  }

  /** Writes letters for its supervisor, as scripts out there do. */
  async tell(box: Sandbox, letters: string): Promise<void> {
    const script = 'printf %s "$1" >"$0/supervise/control"';
    expect((await box.run(["sh", "-c", script, this.path, letters])).code).toBe(0);
  }

  /** Waits until a service that is DEAF has got so far: until then signals are the end of it. */
  async deaf(): Promise<void> {
    await until(() => {
      const bytes = Buffer.from(this.file("status") ?? "", "latin1");
      const pid = bytes.length < 18 ? 0 : bytes.readUInt32LE(12);
      return read(`/proc/${pid}/cmdline`)?.startsWith("sleep\0");
    }, `${this.path} is deaf`);
  }

  /** Waits until it runs, in another life than that of this pid. */
  async runs(after = 0): Promise<number> {
    await until(() => this.stat === "run" && this.pid > 0 && this.pid !== after, "it runs");
    return this.pid;
  }
}

/** Pids and times differ between two runs. */
export function masked({ code, out, err }: Outcome): string {
  const text = `${code}: ${out}${err}`;
  return text.replace(/\(pid \d+\)/g, "(pid P)").replace(/\b\d+( seconds|s\b)/g, "N$1");
}

/** Defines a test for each wrong command line: our answer is the original's. */
export function refusesAsOriginal(program: string, wrong: readonly string[][], needs: boolean) {
  for (const args of wrong) {
    scenario(
      `${JSON.stringify(args)} is refused as it is there`,
      async (box) => {
        const theirs = await box.run([original(program), ...args]);
        const err = theirs.err.replace("usage: /usr/bin", `usage: ${BIN}`);
        expect(await box.run([program, ...args])).toEqual({ ...theirs, err });
      },
      needs,
    );
  }
}

/** Defines the test of --help. */
export function printsUsage(program: string, usage: string): void {
  scenario("--help prints the usage", async (box) => {
    const { code, out, err } = await box.run([program, "--help"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toStartWith(`usage: ${usage}\n`);
  });
}
