/**
 * A real stack in a PID namespace, as examples/stack has it: PostgreSQL, redis, a web server, a
 * migration, a worker; prefixed output, probes, an essential service, a graceful stop, a plot.
 */
import { expect } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { hasApplet } from "../lib/container.ts";
import { exists, makeDirectory, read, write } from "../lib/files.ts";
import { children, kill } from "../lib/processes.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have, scenario } from "../lib/scenario.ts";
import { until } from "../lib/until.ts";
import { xmlFault } from "../lib/xml.ts";

const EXAMPLE = `${import.meta.dir}/../../examples/stack`;
const SERVICES = ["migrate", "postgres", "redis", "web", "worker"];

const postgres = [...new Bun.Glob("/usr/lib/postgresql/*/bin/postgres").scanSync("/")];
const isInstalled = postgres.length > 0 && Bun.which("redis-server") !== null && hasApplet("httpd");

/** As PID 1 to be: where the programs are, a user may not get to who is not root. */
const SETUP = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';

/** A port that nobody listened at a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

class Stack {
  private process: Bun.Subprocess | null = null;
  private runs = 0;

  private constructor(
    private readonly box: Sandbox,
    private readonly listen: string,
  ) {}

  static async make(box: Sandbox): Promise<Stack> {
    makeDirectory(`${box.dir}/bin`);
    expect((await box.run(["cp", "-R", EXAMPLE, `${box.dir}/stack`])).code).toBe(0);
    return new Stack(box, `127.0.0.1:${await freePort()}`);
  }

  /** Runs it with a main program that is this script. */
  async start(main: string): Promise<void> {
    const { dir, environment } = this.box;
    write(`${dir}/main`, `#!/bin/sh\n${main}\n`, 0o755);
    const setup = ["sh", "-c", SETUP, "sh", BIN, `${dir}/bin`];
    const output = openSync(`${dir}/output.${++this.runs}`, "a");
    this.process = Bun.spawn(
      [
        "unshare",
        "-fpmi",
        "--mount-proc",
        "--kill-child",
        ...setup,
        `${dir}/stack/run`,
        `${dir}/main`,
      ],
      {
        env: {
          ...environment,
          PATH: `${dir}/bin:${environment.PATH}`,
          STATE: `${dir}/state`,
          LISTEN: this.listen,
        },
        stdio: ["ignore", output, output],
      },
    );
    closeSync(output);
  }

  get url(): string {
    return `http://${this.listen}/`;
  }

  get output(): string {
    return read(`${this.box.dir}/output.${this.runs}`) ?? "";
  }

  async says(pattern: RegExp): Promise<void> {
    const ended = () => this.process?.exitCode != null;
    await until(() => pattern.test(this.output) || ended(), `it says ${pattern}`).catch(() => {});
    expect(this.output).toMatch(pattern);
  }

  /** PID 1, and what a service's process is called outside. */
  get init(): number {
    return children(this.process?.pid ?? 0)[0]?.pid ?? 0;
  }

  outside(service: string): number {
    const inside = read(`${this.box.dir}/state/run/${service}/pid`)?.trim();
    const named = (pid: number) => read(`/proc/${pid}/status`)?.match(/^NSpid:.*\t(\d+)$/m)?.[1];
    return children(this.init).find(({ pid }) => named(pid) === inside)?.pid ?? 0;
  }

  async ended(): Promise<number> {
    await until(() => this.process?.exitCode != null, "it ends");
    return (await this.process?.exited) ?? -1;
  }

  /** Which services have ended, in this order. */
  get ends(): string[] {
    return [...this.output.matchAll(/^sysmgr: (\w+): (?:exited|ended) .*; down$/gm)].map(
      (m) => m[1] ?? "",
    );
  }
}

scenario(
  "a stack comes up in order, works, is seen, and is stopped in order",
  async (box) => {
    const stack = await Stack.make(box);
    const plot = `${box.dir}/state/plot.svg`;
    await stack.start(`svctl -q ready || echo not yet
svctl -t 90 ready && svctl plot >"$STATE/plot.svg" && svctl graph && echo ready
trap 'echo main ends; exit 6' TERM
while :; do sleep 0.1; done`);
    await stack.says(/^ready$/m);
    expect(stack.output).toMatch(/^not yet$/m);
    // What it says is in front of what it says.
    for (const line of [
      /^postgres \| .* database system is ready to accept connections$/m,
      /^redis \| .* ready to accept connections at .*$/im,
      /^migrate \| the schema is there$/m,
      /^worker \| job 1 was the first one$/m,
    ])
      await stack.says(line);
    await stack.says(new RegExp(`^web \\| ${stack.url}$`, "m"));
    expect(await (await fetch(stack.url)).text()).toMatch(/^\d+ jobs done\n$/);

    const svg = read(plot) ?? "";
    expect(xmlFault(svg)).toBeNull();
    for (const name of SERVICES) expect(svg).toMatch(new RegExp(`${name}: \\w+ from `));
    expect(svg).toMatch(/worker: waiting from /);

    kill(stack.init, "SIGTERM");
    expect(await stack.ended()).toBe(6);
    await stack.says(/^postgres \| .* received fast shutdown request$/m);
    await stack.says(/^postgres \| .* database system is shut down$/m);
    expect(stack.ends.toSorted()).toEqual(SERVICES.filter((name) => name !== "migrate"));
    // After three seconds nobody is waited for any more.
    if (!/waiting for .* \([0-4] s left\)/.test(stack.output)) {
      await stack.says(/^worker \| job \d+ was the last one$/m);
      expect(stack.ends[0]).toBe("worker");
      expect(stack.output).not.toMatch(/KILL|again/);
    }
  },
  have.mounts && have.pidns && isInstalled,
);

scenario(
  "its data outlive it, and without its database it ends",
  async (box) => {
    const stack = await Stack.make(box);
    await stack.start("svctl -t 90 ready");
    expect(await stack.ended()).toBe(0);
    await stack.start("exec sleep 3600");
    await stack.says(/^worker \| job 1 was the first one$/m);
    expect(stack.output).not.toMatch(/making the database/);
    kill(stack.outside("postgres"), "SIGKILL");
    expect(await stack.ended()).toBe(128 + 9);
    expect(stack.output).toMatch(/^sysmgr: postgres, which is essential, ended: stopping/m);
    expect(exists(`${box.dir}/state/db/PG_VERSION`)).toBeTrue();
  },
  have.mounts && have.pidns && isInstalled,
);
