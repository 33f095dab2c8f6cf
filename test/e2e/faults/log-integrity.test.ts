/**
 * A million numbered lines from a service to its logger, while the service and sysmgr are killed
 * with -9 and the logger is told to end, all at random: each line that a write accepted is in the
 * log once, in order. What physics forces: a logger that is killed with -9 takes along what it had
 * read and not yet written; the last test holds it to that.
 */
import { expect } from "bun:test";
import { join } from "node:path";
import { list, makeDirectory, read, touch, write } from "../../lib/files.ts";
import { kill } from "../../lib/processes.ts";
import { BIN, type Sandbox } from "../../lib/sandbox.ts";
import { patientScenario } from "../../lib/scenario.ts";
import type { Service } from "../../lib/service.ts";
import type { Supervisor } from "../../lib/supervisor.ts";
import { until } from "../../lib/until.ts";
import { chooseSeed, Random } from "../../unit/random.ts";

const COUNT = join(import.meta.dir, "../../unit/count.ts");
const seed = chooseSeed();

/** Room for all of it in the files of one directory. */
const LOGGERS = {
  multilog: (dir: string) => `exec ${BIN}/multilog s16777215 n10 ${dir}`,
  svlogd: (dir: string) => `exec ${BIN}/svlogd ${dir}`,
};

class Run {
  private readonly web: Service;
  private readonly log: Service;
  private readonly dir: string;
  private readonly state: string;
  private sysmgr: Supervisor | null = null;
  /** Each once, before chance decides. */
  private readonly first = ["service", "logger", "sysmgr"];

  constructor(
    private readonly box: Sandbox,
    private readonly total: number,
    logger: keyof typeof LOGGERS,
  ) {
    [this.dir, this.state] = [`${box.dir}/log`, `${box.dir}/state`];
    makeDirectory(this.dir);
    write(`${this.dir}/config`, "s16777215\nn10\n");
    touch(this.state);
    [this.web, this.log] = [box.declare("web"), box.declare("web/log")];
    const body = `exec ${process.execPath} ${COUNT} ${this.state} ${total}`;
    this.web.installLogged(body, this.log, LOGGERS[logger](this.dir));
    for (const { entry } of [this.web, this.log]) write(`${entry}/restart-delay`, "0\n");
    write(`${this.web.entry}/restart`, "on-failure\n");
  }

  async start(): Promise<void> {
    this.sysmgr = await this.box.start();
  }

  async begun(): Promise<void> {
    await until(() => this.lives.length, "the first life writes");
  }

  /** What each life has written, as far as it could tell: after `begun`, up to `accepted`. */
  private get lives(): { begun: number; accepted: number }[] {
    return ((read(this.state) ?? "").match(/[^\n]+/g) ?? []).map((line) => {
      const [begun = 0, accepted = 0] = line.split(" ").map(Number);
      return { begun, accepted };
    });
  }

  get isDone(): boolean {
    return this.lives.at(-1)?.accepted === this.total;
  }

  /** Whom a random number means; returns when it works again. */
  async disturb(random: Random, logger: NodeJS.Signals): Promise<void> {
    const victim = this.first.shift() ?? random.pick(["service", "logger", "sysmgr"]);
    if (victim === "sysmgr") {
      await this.sysmgr?.crash();
      return await this.start();
    }
    const service = victim === "service" ? this.web : this.log;
    const pid = await until(() => service.pid || (this.isDone && -1), `${victim} is there`);
    if (this.isDone) return;
    kill(pid, victim === "service" ? "SIGKILL" : logger);
    await until(() => service.pid !== pid && (service.pid || this.isDone), `${victim} is back`);
  }

  /** Waits for the last line; then the logger reads what there is left to read, and ends. */
  async finish(): Promise<void> {
    await until(() => this.isDone, "all is written");
    await this.sysmgr?.stop();
  }

  /** How many lines are missing: 0, or the last word on it. */
  check(): { missing: number; torn: number; lives: number } {
    const old = list(this.dir).filter((file) => file.startsWith("@"));
    const kept = [...old.sort(), "current"].map((file) => read(`${this.dir}/${file}`) ?? "");
    const lines = kept.join("").split("\n").slice(0, -1);
    const told = this.lives;
    let [life, last, missing, torn] = [0, 0, 0, 0];
    const end = (upTo: number) => {
      missing += Math.max(0, (told[upTo]?.accepted ?? 0) - last);
    };
    for (const line of lines) {
      const [, l, n] = line.match(/^(\d+) (\d+)$/) ?? [];
      if (l === undefined) {
        torn++;
        continue;
      }
      for (; life < Number(l); last = told[life]?.begun ?? 0) end(life++);
      if (life !== Number(l) || Number(n) <= last) throw new Error(`not in order: ${line}`);
      missing += Number(n) - last - 1;
      last = Number(n);
    }
    for (; life < told.length; last = told[life]?.begun ?? 0) end(life++);
    return { missing, torn, lives: told.length };
  }
}

for (const logger of ["multilog", "svlogd"] as const) {
  patientScenario(
    `a million lines to ${logger} arrive once and in order (SEED=${seed})`,
    async (box) => {
      const random = new Random(seed);
      const run = new Run(box, 1_000_000, logger);
      await run.start();
      await run.begun();
      let disturbances = 0;
      for (; !run.isDone; disturbances++) await run.disturb(random, "SIGTERM");
      await run.finish();
      const { missing, torn, lives } = run.check();
      expect({ missing, torn }).toEqual({ missing: 0, torn: 0 });
      expect(Math.min(disturbances, lives)).toBeGreaterThan(1);
    },
  );
}

patientScenario(
  `a logger killed with -9 loses no more than it had read (SEED=${seed})`,
  async (box) => {
    const random = new Random(seed);
    const run = new Run(box, 300_000, "multilog");
    await run.start();
    let disturbances = 0;
    for (; !run.isDone; disturbances++) await run.disturb(random, "SIGKILL");
    await run.finish();
    const { missing, torn } = run.check();
    // 64 KiB of lines of at least 4 bytes each time; the line that was cut is told of as torn.
    expect(missing).toBeLessThan((disturbances * 65_536) / 4);
    expect(torn).toBeLessThanOrEqual(disturbances);
  },
);
