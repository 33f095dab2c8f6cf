/**
 * sysmgr as PID 1 of a namespace, as in a container: it reaps, minds no signal it should not, ends
 * in bounded time with the code that was asked for, and leaves nobody. And where it is not PID 1.
 */
import { expect } from "bun:test";
import { list, place, read, write } from "../../lib/files.ts";
import { children, kill, lives, readStat } from "../../lib/processes.ts";
import { BIN, type Sandbox } from "../../lib/sandbox.ts";
import { have, patientScenario } from "../../lib/scenario.ts";
import { type Service, trapping } from "../../lib/service.ts";
import { until } from "../../lib/until.ts";

/** sysmgr in a pid namespace of its own. */
class Container {
  private constructor(
    private readonly box: Sandbox,
    private readonly process: Bun.Subprocess,
    /** Its pid, as we see it. */
    readonly init: number,
  ) {}

  static async start(box: Sandbox, ...before: string[]): Promise<Container> {
    const sysmgr = [...before, `${BIN}/sysmgr`, "-d", box.sysdir, "-r", box.rundir];
    const process = Bun.spawn(["unshare", "-fp", "--mount-proc", ...sysmgr], {
      env: { ...box.environment, PATH: `${BIN}:${globalThis.process.env.PATH}` },
      stdio: ["ignore", Bun.file(`${box.dir}/output`), Bun.file(`${box.dir}/output`)],
    });
    const init = () => children(process.pid)[0]?.pid;
    const works = () => read(`${box.rundir}/pid`) !== null && init();
    return new Container(box, process, await until(works, "sysmgr works"));
  }

  get messages(): string {
    return read(`${this.box.dir}/output`) ?? "";
  }

  /** All that live in it but PID 1. */
  get others(): number[] {
    const below = (pid: number): number[] =>
      children(pid).flatMap((p) => [...(p.state === "Z" ? [] : [p.pid]), ...below(p.pid)]);
    return below(this.init);
  }

  get zombies(): number {
    return children(this.init).filter((p) => p.state === "Z").length;
  }

  /** A service that runs this once, from inside, and says so; it stays. */
  async inside(name: string, script: string): Promise<Service> {
    const service = this.box.service(name, `${script}\ntrace done\nexec sleep 3600`);
    await service.traced("done");
    return service;
  }

  async ended(): Promise<number> {
    await until(() => this.process.exitCode !== null, "the namespace ends");
    return await this.process.exited;
  }
}

/** The process with this pid in its own namespace, as we see it; 0: not there. */
function outside(container: Container, pid: number): number {
  const named = (p: number) => read(`/proc/${p}/status`)?.match(/^NSpid:.*\t(\d+)$/m)?.[1];
  return container.others.find((p) => Number(named(p)) === pid) ?? 0;
}

patientScenario(
  "PID 1: orphans are reaped, also of those who are no service",
  async (box) => {
    const orphans = "i=0; while [ $i -lt 200 ]; do (sleep 0.1 &); i=$((i + 1)); done";
    const daemon = `setsid sh -c '${orphans}' &`;
    const container = await Container.start(box);
    const web = await container.inside("web", `${orphans}\n${daemon}\nwait`);
    await until(() => container.others.length === 1 && container.zombies === 0, "all are reaped");
    expect([web.starts.length, read(`${box.rundir}/pid`)]).toEqual([1, "1\n"]);
    kill(container.init, "SIGTERM");
    expect(await container.ended()).toBe(0);
  },
  have.pidns,
);

patientScenario(
  "PID 1: signals sent from inside that it does not know do nothing",
  async (box) => {
    const container = await Container.start(box);
    // But for those that end it: HUP INT QUIT ABRT TERM, and USR2, which upgrades.
    const numbers = Array.from({ length: 64 }, (_, i) => i + 1);
    const signals = numbers.filter((n) => ![1, 2, 3, 6, 12, 15].includes(n));
    const sends = signals.map((n) => `env kill -${n} 1 && trace sent ${n}`).join("\n");
    const web = await container.inside("web", sends);
    const sent = signals.filter((n) => web.count(`sent ${n}`) === 1);
    expect(sent.filter((n) => n < 32)).toEqual(signals.filter((n) => n < 32));
    await web.command("restart");
    await web.traced("done", 2);
    expect(read(`${box.rundir}/pid`)).toBe("1\n");
    expect(readStat(container.init)?.state).toMatch(/^[SR]$/);
    expect(container.messages).not.toMatch(/stopping|internal error|anic/);
    kill(container.init, "SIGTERM");
    expect(await container.ended()).toBe(0);
  },
  have.pidns,
);

patientScenario(
  "PID 1: TERM from inside ends all: TERM first, then, for who does not mind, KILL",
  async (box) => {
    const container = await Container.start(box);
    const polite = box.declare("polite");
    write(
      `${box.dir}/polite`,
      polite.script("trap 'trace TERM; kill $!; exit' TERM\ntrace ready\nsleep 3600 & wait"),
      0o755,
    );
    const deaf = box.declare("deaf");
    write(
      `${box.dir}/deaf`,
      deaf.script("trap 'trace TERM' TERM\ntrace ready\nwhile :; do sleep 3600 & wait; done"),
      0o755,
    );
    const web = await container.inside(
      "web",
      `setsid ${box.dir}/polite & setsid setsid ${box.dir}/deaf & (setsid sleep 3600 &)`,
    );
    await polite.traced("ready");
    await deaf.traced("ready");
    // It is stopped itself, perhaps before its next command.
    box.service("fatal", "kill -TERM 1");
    expect(await container.ended()).toBe(0);
    expect([polite.count("TERM"), deaf.count("TERM") > 0, web.starts.length]).toEqual([1, true, 1]);
    expect(list(box.rundir)).toEqual([]);
    const [, seconds] = container.messages.match(/sysmgr: all stopped after ([\d.]+) s\n$/) ?? [];
    expect(Number(seconds)).toBeGreaterThanOrEqual(7);
  },
  have.pidns,
);

for (const [content, code] of [
  ["7", 7],
  ["0\n", 0],
  ["200\n", 200],
] as const) {
  patientScenario(
    `PID 1: .control/shutdown that holds ${content.trim()} ends it with exit code ${code}`,
    async (box) => {
      const container = await Container.start(box);
      const web = await container.inside("web", "");
      place(`${box.rundir}/.control/shutdown`, content);
      expect(await container.ended()).toBe(code);
      expect([list(box.rundir), web.starts.length]).toEqual([[], 1]);
    },
    have.pidns,
  );
}

patientScenario(
  "PID 1: a service may ask for the shutdown itself",
  async (box) => {
    const container = await Container.start(box);
    box.service("web");
    // It is stopped itself, perhaps before its next command.
    box.service("job", "echo 3 >$RUNDIR/.control/shutdown");
    expect(await container.ended()).toBe(3);
  },
  have.pidns,
);

patientScenario(
  "PID 1: an upgrade keeps it PID 1, and every service",
  async (box) => {
    const container = await Container.start(box);
    const web = box.service("web", trapping("HUP"));
    await web.traced("ready");
    const pid = await until(() => web.pid, "it has a pid");
    for (let round = 1; round <= 3; round++) {
      kill(container.init, "SIGUSR2");
      const became = () => container.messages.split("becoming").length === round + 1;
      await until(became, `upgrade ${round}`);
      const before = web.count("HUP");
      await web.command("hup");
      await web.traced("HUP", before + 1);
    }
    // Still protected, and still a reaper.
    await container.inside("evil", "kill -SEGV 1; kill -FPE 1; (sleep 0.1 &)");
    await until(() => container.zombies === 0 && container.others.length <= 3, "it reaps");
    expect([web.pid, web.starts.length]).toEqual([pid, 1]);
    kill(outside(container, pid), "SIGKILL");
    await until(() => web.status.exit === "signal KILL", "its end is told exactly");
    kill(container.init, "SIGTERM");
    expect(await container.ended()).toBe(0);
  },
  have.pidns,
);

patientScenario(
  "not PID 1, with another init in the namespace: it works, and leaves the others alone",
  async (box) => {
    // An init that starts somebody else, too, and reaps as sh does.
    const neighbour = `${box.dir}/neighbour`;
    const script = `sleep 3600 & echo $! >${neighbour}; "$@"; code=$?
kill -0 $! && echo spared >>${neighbour}; kill $!; exit $code`;
    const output = Bun.file(`${box.dir}/output`);
    const sysmgr = [`${BIN}/sysmgr`, "-d", box.sysdir, "-r", box.rundir];
    const web = box.service("web", "(setsid sleep 3600 &)\nexec sleep 3600");
    const child = Bun.spawn(
      ["unshare", "-fp", "--mount-proc", "sh", "-c", script, "sh", ...sysmgr],
      { env: box.environment, stdio: ["ignore", output, output] },
    );
    await web.is("up");
    expect(Number(read(`${box.rundir}/pid`))).toBeGreaterThan(1);
    expect(web.status.pidns).not.toBeUndefined();
    place(`${box.rundir}/.control/shutdown`, "5");
    await until(() => child.exitCode !== null, "the namespace ends");
    expect(await child.exited).toBe(5);
    expect(read(neighbour)).toMatch(/^\d+\nspared\n$/);
    expect(list(box.rundir)).toEqual([]);
  },
  have.pidns,
);

patientScenario(
  "a RUNDIR from another pid namespace is not believed, from inside or outside",
  async (box) => {
    const web = box.service("web");
    const container = await Container.start(box);
    await web.is("up");
    kill(container.init, "SIGKILL");
    await container.ended();
    // Its pid, say 5, is somebody here: a thread of the kernel, or a stranger.
    const sysmgr = await box.start();
    expect(sysmgr.messages).toMatch(/emptied/);
    await web.running();
    expect(web.status.runs).toBe("1");
    await sysmgr.crash();
    const again = await Container.start(box);
    await until(() => web.starts.length === 3, "it starts its own");
    expect(again.messages).not.toContain("took over");
    kill(again.init, "SIGTERM");
    expect(await again.ended()).toBe(0);
    const [, own] = web.starts;
    expect(lives(own ?? 0)).toBeTrue();
    kill(own ?? 0, "SIGKILL");
  },
  have.pidns,
);
