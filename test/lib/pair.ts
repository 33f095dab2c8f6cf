/** The same service directories twice: under runit's or daemontools' scanner, and under ours. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, openSync, symlinkSync } from "node:fs";
import { exists, makeDirectory, place, read } from "./files.ts";
import { masked } from "./forgery.ts";
import { kill, lives } from "./processes.ts";
import { BIN, Sandbox } from "./sandbox.ts";
import { STAY } from "./service.ts";
import { PATIENCE, until } from "./until.ts";

/** A command of a client, for NAME, which is added if it does not occur; or something to wait for. */
export type Step =
  | string
  /** A status in which this is found, with pids and seconds. */
  | { readonly status: RegExp }
  /** So many such lines in what the service traced. */
  | { readonly traced: string; readonly times?: number }
  /** Makes a file in the service directory. */
  | { readonly touch: string };

export type Story = {
  /** What `run` does; `trace WORD` is at hand, and the clients of this side. */
  readonly run?: string;
  /** Other files: those that begin with #! are made executable. */
  readonly files?: Readonly<Record<string, string>>;
  /** The scanner finds but a link to the service directory. */
  readonly linked?: boolean;
  /** Supervised by this in place of the original's scanner, which would start it again. */
  readonly alone?: string;
  readonly steps: readonly Step[];
};

type Side = {
  readonly directory: string;
  readonly bin: string;
  /** The scanner's command line. */
  readonly command: readonly string[];
  scanner: Bun.Subprocess | null;
};

export class ScannerPair {
  private readonly box = new Sandbox();
  private readonly theirs: Side;
  private readonly ours: Side;
  private readonly stories: string[] = [];
  private readonly alone = new Map<string, string>();

  /** `status` is the client that tells of one service, `scanner` the original's. */
  constructor(
    scanner: (directory: string) => readonly string[],
    private readonly status: readonly string[],
  ) {
    const [theirs, ours] = [`${this.box.dir}/theirs`, `${this.box.dir}/ours`];
    for (const directory of [theirs, ours, `${this.box.dir}/elsewhere`]) makeDirectory(directory);
    this.theirs = { directory: theirs, bin: "/usr/bin", command: scanner(theirs), scanner: null };
    const command = [`${BIN}/sysmgr`, "-q", "-d", ours, "-r", `${ours}/.sysmgr`];
    this.ours = { directory: ours, bin: BIN, command, scanner: null };
  }

  add(name: string, { run = STAY, files = {}, linked, alone }: Story): void {
    this.stories.push(name);
    if (alone !== undefined) this.alone.set(name, alone);
    for (const side of [this.theirs, this.ours]) {
      const directory = this.home(side, name);
      const own = linked ? `${directory}.${name}` : `${directory}/${name}`;
      makeDirectory(own);
      const trace = `trace() { echo "$*" >>trace; }\n`;
      const begun = "trace start\necho $$ >>pids\n";
      place(`${own}/run`, `#!/bin/sh\n${trace}${begun}${run}\n`, 0o755);
      for (const [file, text] of Object.entries(files)) {
        if (file.includes("/")) makeDirectory(`${own}/${file.replace(/\/[^/]*$/, "")}`);
        place(`${own}/${file}`, text, text.startsWith("#!") ? 0o755 : 0o644);
      }
      if (linked) symlinkSync(own, `${directory}/${name}`);
    }
  }

  /** The directory that a service is in. */
  private home(side: Side, name: string): string {
    return side === this.theirs && this.alone.has(name)
      ? `${side.directory}.alone`
      : side.directory;
  }

  async start(): Promise<void> {
    for (const side of [this.theirs, this.ours]) side.scanner = this.launch(side, side.command);
    for (const [name, supervisor] of this.alone) {
      this.launch(this.theirs, [supervisor, `${this.home(this.theirs, name)}/${name}`]);
    }
    const known = (side: Side) => (name: string) =>
      exists(`${this.home(side, name)}/${name}/supervise/status`) ||
      exists(`${side.directory}/.sysmgr/${name}/status`);
    for (const side of [this.theirs, this.ours]) {
      await until(() => this.stories.every(known(side)), `${side.command[0]} knows all`);
    }
  }

  private launch(side: Side, command: readonly string[]): Bun.Subprocess {
    const fd = openSync(`${side.directory}.output`, "a");
    const child = Bun.spawn([...command], {
      cwd: "/",
      env: this.environment(side),
      stdio: ["ignore", fd, fd],
    });
    closeSync(fd);
    return child;
  }

  /** What both have said and traced in the end. */
  async play(name: string, story: Story): Promise<{ theirs: string[]; ours: string[] }> {
    const [theirs, ours] = await Promise.all(
      [this.theirs, this.ours].map((side) => this.playOn(side, name, story.steps)),
    );
    return { theirs: theirs ?? [], ours: ours ?? [] };
  }

  private async playOn(side: Side, name: string, steps: readonly Step[]): Promise<string[]> {
    const transcript: string[] = [];
    const home = this.home(side, name);
    const own = `${home}/${name}`;
    const trace = () => (read(`${own}/trace`) ?? "").split("\n").slice(0, -1);
    for (const step of steps) {
      if (typeof step === "string") {
        const words = step.includes("NAME") ? step : `${step} NAME`;
        const command = words.replaceAll("NAME", name).split(" ");
        const said = await this.run(side, home, command);
        await this.untilBegun(own, name, said);
        transcript.push(`$ ${words}`, masked(said, home));
      } else if ("status" in step) {
        await this.untilStatus(side, name, step.status);
      } else if ("touch" in step) {
        place(`${own}/${step.touch}`, "");
      } else {
        const count = () => trace().filter((line) => line === step.traced).length;
        await until(() => count() >= (step.times ?? 1), `${own} traces ${step.traced}`);
      }
    }
    return [...transcript, "traced:", ...trace()];
  }

  private async untilStatus(side: Side, name: string, pattern: RegExp): Promise<void> {
    for (const deadline = performance.now() + PATIENCE; ; await Bun.sleep(20)) {
      const status = await this.run(side, this.home(side, name), [...this.status, name]);
      if (pattern.test(status)) {
        return await this.untilBegun(`${this.home(side, name)}/${name}`, name, status);
      }
      if (performance.now() > deadline) {
        throw new Error(`${side.bin}: never ${pattern}: ${status}`);
      }
    }
  }

  /** A process that a client has told of may not have come to its first line. */
  private async untilBegun(own: string, name: string, said: string): Promise<void> {
    for (const [, run, up, pid] of said.matchAll(/(?:run: (\S+):|(\S+): up) \(pid (\d+)\)/g)) {
      if (name !== (run ?? up)) continue;
      const begun = () => (read(`${own}/pids`) ?? "").split("\n").includes(pid ?? "");
      await until(() => begun() || !lives(Number(pid)), `${own}: ${pid} has begun`);
    }
  }

  private async run(
    side: Side,
    home: string,
    [program = "", ...args]: readonly string[],
  ): Promise<string> {
    const child = Bun.spawn([`${side.bin}/${program}`, ...args], {
      cwd: home,
      env: { ...this.environment(side), SVDIR: home },
      stdio: ["ignore", "pipe", "pipe"],
      timeout: PATIENCE,
      killSignal: "SIGKILL",
    });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return `${out}${err}=> ${await child.exited}`;
  }

  private environment(side: Side): Record<string, string> {
    const { PATH = "/bin" } = process.env;
    return { ...this.box.environment, PATH: `${side.bin}:/usr/bin:/bin:${PATH}` };
  }

  /** Ours must end as it should; theirs is asked to, and what stays is killed. */
  async end(): Promise<number | null> {
    const { theirs, ours } = this;
    if (theirs.scanner) kill(theirs.scanner.pid, "SIGHUP");
    if (ours.scanner) kill(ours.scanner.pid, "SIGTERM");
    const code = (await ours.scanner?.exited) ?? null;
    await this.box.remove();
    await theirs.scanner?.exited;
    return code;
  }
}

/** Defines a test for each story, told on both sides of a pair at the same time. */
export function tellStories(
  what: string,
  needs: boolean,
  make: () => ScannerPair,
  stories: Readonly<Record<string, Story>>,
): void {
  describe.skipIf(!needs)(what, () => {
    const pair = make();
    const nameOf = (title: string) => title.replaceAll(" ", "-");

    beforeAll(async () => {
      for (const [title, story] of Object.entries(stories)) pair.add(nameOf(title), story);
      await pair.start();
    });

    afterAll(async () => {
      expect(await pair.end()).toBe(0);
    });

    for (const [title, story] of Object.entries(stories)) {
      test.concurrent(title, async () => {
        const { theirs, ours } = await pair.play(nameOf(title), story);
        expect(ours).toEqual(theirs);
      });
    }
  });
}
