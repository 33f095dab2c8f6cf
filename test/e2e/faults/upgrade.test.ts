/**
 * A live upgrade, by USR2 and by svctl, at the worst moments: same process, same children, no exit,
 * command or signal lost; what cannot take over is refused. (svctl-upgrade has what svctl says.)
 */
import { expect } from "bun:test";
import { chmodSync, chownSync } from "node:fs";
import { needing, waits } from "../../lib/depends.ts";
import {
  append,
  exists,
  link,
  makeDirectory,
  place,
  read,
  remove,
  rename,
  touch,
} from "../../lib/files.ts";
import { children, descriptors, kill, lives, readStat } from "../../lib/processes.ts";
import { BIN, type Sandbox, type StartOptions } from "../../lib/sandbox.ts";
import { have, patientScenario, scenario } from "../../lib/scenario.ts";
import { lingering, lingeringUntil, type Service, STAY, trapping } from "../../lib/service.ts";
import type { Supervisor } from "../../lib/supervisor.ts";
import { until } from "../../lib/until.ts";

/** A sysmgr that was started by a path of ours, which may lead to something else later. */
class Replaceable {
  /** In a directory of its own, to be found by PATH or by a relative path, too. */
  readonly path: string;

  constructor(readonly box: Sandbox) {
    makeDirectory(`${box.dir}/bin`);
    this.path = `${box.dir}/bin/sysmgr`;
    link(`${BIN}/sysmgr`, this.path);
  }

  /** `called`: how a shell executes it. */
  start(options: StartOptions = {}, called = `exec '${this.path}'`): Promise<Supervisor> {
    return this.box.start({ ...options, wrapper: ["sh", "-c", `shift; ${called} "$@"`, "sh"] });
  }

  /** Puts a script in its place, which may go on as the real one. */
  replace(script: string, mode = 0o755): void {
    place(this.path, `#!/bin/sh\n${script}\n`, mode);
  }

  restore(): void {
    remove(this.path);
    link(`${BIN}/sysmgr`, this.path);
  }
}

/** Notes that it is asked, takes a while to tell its version, then is what it should be. */
const slow = (box: Sandbox, seconds: number) =>
  `[ "$1" = --version ] && : >'${asked(box)}' && sleep ${seconds}\nexec '${BIN}/sysmgr' "$@"`;
const asked = (box: Sandbox) => `${box.dir}/asked`;

/** Between the two: what was sysmgr waits for a writer, without a child of its own. */
const pausing = (box: Sandbox) => `[ "$1" = --version ] && exec '${BIN}/sysmgr' "$@"
: >'${asked(box)}'; read -r _ <'${box.dir}/gate'; exec '${BIN}/sysmgr' "$@"`;

/** Upgrades; what is done meanwhile happens after the one is gone and before the other has come. */
async function between(binary: Replaceable, meanwhile: () => unknown): Promise<void> {
  const { box } = binary;
  expect((await box.run(["mkfifo", `${box.dir}/gate`])).code).toBe(0);
  binary.replace(pausing(box));
  touch(`${box.rundir}/.control/upgrade`);
  await until(() => exists(asked(box)), "nobody is sysmgr");
  await meanwhile();
  append(`${box.dir}/gate`, "\n");
}

/** USR2, and waits until the new program works. */
async function upgrade(sysmgr: Supervisor): Promise<void> {
  const before = sysmgr.count(/becoming /);
  sysmgr.signal("SIGUSR2");
  await until(() => sysmgr.count(/becoming /) > before, "sysmgr becomes its successor");
  await sysmgr.answers();
}

/** Ends with this code when it is told to. */
const exiting = (code: number) =>
  `trap 'exit ${code}' USR1\ntrace ready\nwhile :; do sleep 3600 & wait $!; kill $!; done`;

scenario("USR2 keeps every process, and how own children end is still told", async (box) => {
  const binary = new Replaceable(box);
  const names = ["coded", "killed", "stopped", "stays"];
  const services = names.map((name, i) => box.service(name, exiting(40 + i)));
  const [coded, killed, stopped] = services as [Service, Service, Service, Service];
  const sysmgr = await binary.start();
  for (const service of services) await service.traced("ready");
  const pids = await Promise.all(services.map((s) => s.running()));
  await upgrade(sysmgr);
  await upgrade(sysmgr);
  await sysmgr.says(/version \S+: took over 4 running services/);
  expect(services.map((s) => s.pid)).toEqual(pids);
  expect(Number(read(`${box.rundir}/pid`))).toBe(sysmgr.pid);
  expect(children(sysmgr.pid).map((p) => p.pid)).toEqual(expect.arrayContaining(pids));

  kill(pids[0] ?? 0, "SIGUSR1");
  kill(pids[1] ?? 0, "SIGKILL");
  stopped.mark();
  await coded.runningAfter(pids[0] ?? 0);
  await killed.runningAfter(pids[1] ?? 0);
  await stopped.is("down");
  const exits = [coded, killed, stopped].map((s) => s.status.exit);
  expect(exits).toEqual(["40", "signal KILL", "signal TERM"]);
  expect(services.map((s) => s.starts.length)).toEqual([2, 2, 1, 1]);
});

scenario("what is at the path is executed: a new binary, however it was called", async (box) => {
  const binary = new Replaceable(box);
  const web = box.service("web");
  const dir = `${box.dir}/bin`;
  for (const called of [`cd ${dir}; exec ./sysmgr`, `PATH=${dir}:$PATH; exec sysmgr`]) {
    binary.restore();
    const sysmgr = await binary.start({}, called);
    const pid = await web.running();
    const note = `${box.dir}/executed`;
    remove(note);
    binary.replace(`echo "$1" >>${note}\nexec '${BIN}/sysmgr' "$@"`);
    await upgrade(sysmgr);
    expect(read(note)).toBe("--version\n-d\n");
    expect(web.pid).toBe(pid);
    await sysmgr.stop();
  }
});

scenario("every exit during upgrades is told with its code, and answered", async (box) => {
  const binary = new Replaceable(box);
  // Each life is a good one, so its end is answered at once; they end all the time.
  const flapping = (i: number) => `sleep 1.${String(i * 37).padStart(3, "0")}\nexit ${i + 1}`;
  const services = Array.from({ length: 16 }, (_, i) => box.service(`s${i}`, flapping(i)));
  const sysmgr = await binary.start();
  for (let n = 0; n < 4 || services.some((s) => s.starts.length < 3); n++) await upgrade(sysmgr);
  const upgrades = sysmgr.count(/becoming /);
  expect(upgrades).toBeGreaterThan(3);
  for (const service of services) service.mark("once");
  for (const [i, service] of services.entries()) {
    await service.is("down");
    expect(service.status).toMatchObject({
      exit: String(i + 1),
      runs: String(service.starts.length),
    });
    // The status is written first, then the message.
    const told = () => sysmgr.count(new RegExp(` s${i}: exited with ${i + 1} after `));
    await until(() => told() >= service.starts.length, `every exit of s${i} is told`);
    expect(told()).toBe(service.starts.length);
  }
  expect(sysmgr.count(/unknown/)).toBe(0);
});

scenario("hundreds that die in the very moment of an upgrade are each seen", async (box) => {
  const binary = new Replaceable(box);
  const services = Array.from({ length: 200 }, (_, i) => box.service(`s${i}`, `exec sleep 3600`));
  const sysmgr = await binary.start({ args: ["-q"] });
  const pids = await Promise.all(services.map((s) => s.running()));
  await services.at(-1)?.aged(1000);
  binary.replace(slow(box, 0.3));
  sysmgr.signal("SIGUSR2");
  await until(() => exists(asked(box)), "the new binary is asked");
  // From before the change until after it.
  for (const [i, pid] of pids.entries()) {
    kill(pid, "SIGKILL");
    if (i % 10 === 9) await Bun.sleep(25);
  }
  for (const [i, service] of services.entries()) await service.runningAfter(pids[i] ?? 0);
  expect(services.filter((s) => s.status.exit !== "signal KILL").map((s) => s.name)).toEqual([]);
  expect(services.every((s) => s.starts.length === 2)).toBeTrue();
});

patientScenario(
  "a main program that ends in between is noticed, and its code ours",
  async (box) => {
    const binary = new Replaceable(box);
    const [web, main] = [box.service("web"), box.declare("main")];
    place(`${box.dir}/main`, main.script(exiting(5)), 0o755);
    const sysmgr = await binary.start({ args: ["--", `${box.dir}/main`] });
    await main.traced("ready");
    const [pid] = main.starts;
    await web.running();
    await between(binary, async () => {
      kill(pid ?? 0, "SIGUSR1");
      await until(() => !lives(pid ?? 0), "it has ended");
    });
    expect(await sysmgr.exited()).toBe(5);
    expect(web.starts.map(lives)).toEqual([false]);
  },
);

patientScenario("a service that ends in between is started again with its logger", async (box) => {
  const binary = new Replaceable(box);
  const [web, log] = [box.declare("web"), box.declare("web/log")];
  const kept = `${box.dir}/kept`;
  web.installLogged(`echo "life $$"; trace ready; ${STAY}`, log, `exec cat >>${kept}`);
  await binary.start();
  await web.traced("ready");
  const pid = await web.aged(1000);
  await between(binary, async () => {
    kill(pid, "SIGKILL");
    await until(() => !lives(pid), "it has ended");
  });
  const next = await web.runningAfter(pid);
  await until(() => read(kept) === `life ${pid}\nlife ${next}\n`, "both lives are in the log");
  expect([web.status.logger, log.starts.length]).toEqual(["yes", 1]);
});

patientScenario("waits go on: a backoff, a failure, a sysmgr-depends", async (box) => {
  const binary = new Replaceable(box);
  const [short, broken] = [box.service("short", "exit 3"), box.declare("broken")];
  const [web, db] = [box.service("web", needing("db")), box.declare("db")];
  broken.install(STAY, 0o644);
  db.install(STAY, 0o644);
  const sysmgr = await binary.start();
  await waits(web);
  const before = await until(() => {
    const { status } = short;
    return Number(status.short) >= 3 && status.state === "backoff" && status;
  }, "three short lives");
  await upgrade(sysmgr);
  // On a slow machine that wait may be over by now.
  const after = { status: short.status, lives: short.starts.length };
  if (Date.now() / 1000 < Number(before.next))
    expect(after).toEqual({ status: before, lives: Number(before.runs) });
  // It is tried once more, which is no news.
  await broken.is("failed");
  expect(broken.status.reason).toBe("not executable");
  expect(sysmgr.count(/broken: cannot start/)).toBe(1);
  db.install();
  await web.traced("go");
  await until(() => short.starts.length > Number(before.runs), "short is started again");
  expect(Date.now() / 1000).toBeGreaterThanOrEqual(Number(before.next) - 0.01);
  expect(web.starts.length).toBe(1);
});

const FIND_OUT = `out='%'
{ umask; ulimit -Sn; ulimit -Hn; ulimit -c; pwd; nice; grep -E '^(SigBlk|SigIgn)' /proc/self/status
  env | grep -v '^_=' | sort; ls /proc/self/fd; } >"$out.$$"
trace found
${STAY}`;

for (const [what, limit, args] of [
  ["ulimit", "ulimit -Sn 777", []],
  ["--nofile", "ulimit -Sn 777", ["--nofile", "333"]],
  ["a hard limit", "ulimit -n 555", []],
] as const) {
  scenario(`limits (${what}), umask and environment of services stay as they were`, async (box) => {
    const binary = new Replaceable(box);
    const out = `${box.dir}/trace/found`;
    const web = box.service("web", FIND_OUT.replace("%", out));
    const env = { BUN_INSTALL: "/x", MINE: "yes" };
    // Its parent tells sysmgr what its soft limit was, before the runtime raised it.
    const called = `umask 027; ${limit}; ulimit -c 0
run() { '${binary.path}' "$@"; return $?; }; run`;
    const sysmgr = await binary.start({ args, env }, called);
    await web.traced("found");
    const first = await web.running();
    for (let round = 0; round < 3; round++) await upgrade(sysmgr);
    await web.command("restart");
    const second = await web.runningAfter(first);
    await web.traced("found", 2);
    expect(read(`${out}.${second}`)).toBe(read(`${out}.${first}`) ?? "");
    expect(read(`${out}.${second}`)).toStartWith(
      `0027\n${what === "--nofile" ? 333 : what === "ulimit" ? 777 : 555}\n`,
    );
    expect(read(`${out}.${second}`)).not.toMatch(/^(BUN_|SYSMGR_UPGRADE)/m);
  });
}

scenario("the lock is held through it: a second sysmgr is refused at any time", async (box) => {
  const binary = new Replaceable(box);
  const web = box.service("web");
  const sysmgr = await binary.start();
  await web.running();
  const refused = async () => {
    const { code, err } = await box.run(["sysmgr"]);
    expect({ code, err }).toEqual({
      code: 1,
      err: `sysmgr: cannot lock ${box.rundir}: another sysmgr works there (pid ${sysmgr.pid})\n`,
    });
  };
  for (let round = 0; round < 5; round++) {
    const upgraded = upgrade(sysmgr);
    for (let i = 0; i < 3; i++) await refused();
    await upgraded;
    await refused();
  }
  expect(web.starts.length).toBe(1);
});

// ---------------------------------------------------------------- what is refused

const REFUSED: [string, (binary: Replaceable) => void, boolean?][] = [
  ["missing", (b) => remove(b.path)],
  ["a directory", (b) => [remove(b.path), makeDirectory(b.path)]],
  ["a dangling link", (b) => [remove(b.path), link("nowhere", b.path)]],
  ["not executable", (b) => b.replace("echo sysmgr 1", 0o644)],
  ["garbage", (b) => place(b.path, "\x7fELF\x02garbage".repeat(100), 0o755)],
  ["empty", (b) => place(b.path, "", 0o755)],
  ["another program", (b) => b.replace("echo 'GNU sysmgr 1.0'")],
  ["without its interpreter", (b) => place(b.path, "#!/nonexistent\n", 0o755)],
  ["killed by a signal", (b) => b.replace("echo sysmgr 1.0; kill -SEGV $$")],
  [
    "a file of another user",
    (b) => [b.replace(`exec '${BIN}/sysmgr' "$@"`), chownSync(b.path, 65534, 65534)],
    have.root,
  ],
  [
    "writable by anybody",
    (b) => [b.replace(`exec '${BIN}/sysmgr' "$@"`), chmodSync(b.path, 0o777)],
    have.root,
  ],
];

for (const [what, spoil, needs = true] of REFUSED) {
  scenario(
    `a binary that is ${what} is refused, said so, and changes nothing`,
    async (box) => {
      const binary = new Replaceable(box);
      const web = box.service("web");
      const sysmgr = await binary.start();
      const pid = await web.running();
      spoil(binary);
      const { code, out, err } = await box.run(["svctl", "upgrade"]);
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toMatch(/^svctl: the upgrade was refused[^\n]*\n$/);
      expect(sysmgr.count(/^sysmgr: cannot upgrade: /)).toBe(1);
      sysmgr.signal("SIGUSR2");
      await until(() => sysmgr.count(/cannot upgrade: /) === 2, "USR2 is refused, too");
      expect([sysmgr.count(/becoming/), web.pid, lives(pid)]).toEqual([0, pid, true]);
      await web.command("restart");
      await web.runningAfter(pid);
      expect(web.status.exit).toBe("signal TERM");
    },
    needs,
  );
}

patientScenario("a binary that hangs is refused after 5 s; all goes on meanwhile", async (box) => {
  const binary = new Replaceable(box);
  const web = box.service("web", trapping("HUP"));
  const sysmgr = await binary.start();
  const pid = await web.running();
  await web.traced("ready");
  binary.replace("sleep 3600");
  const outcome = box.run(["svctl", "upgrade"]);
  await until(() => children(sysmgr.pid).length === 2, "it is asked");
  await web.command("hup");
  await web.traced("HUP");
  await web.command("restart");
  await web.runningAfter(pid);
  sysmgr.signal("SIGUSR2");
  expect(await outcome).toMatchObject({ code: 1, out: "" });
  expect(sysmgr.count(/cannot upgrade: .*KILL/)).toBe(1);
  binary.restore();
  await upgrade(sysmgr);
});

patientScenario("a binary that hangs and ignores TERM, and writes for ever, too", async (box) => {
  const binary = new Replaceable(box);
  const sysmgr = await binary.start();
  binary.replace("trap '' TERM HUP\nexec yes sysmgr 1.0");
  sysmgr.signal("SIGUSR2");
  await sysmgr.says(/cannot upgrade: /);
  binary.restore();
  await upgrade(sysmgr);
});

// ------------------------------------------------------------------ at bad moments

patientScenario("a TERM while the new binary is asked is a TERM", async (box) => {
  const binary = new Replaceable(box);
  const web = box.service("web");
  const sysmgr = await binary.start();
  const pid = await web.running();
  // It answers while the shutdown is under way.
  const stubborn = box.service("stubborn", lingering(2));
  await stubborn.traced("ready");
  binary.replace(slow(box, 1));
  sysmgr.signal("SIGUSR2");
  await until(() => exists(asked(box)), "the new binary is asked");
  sysmgr.signal("SIGTERM");
  await stubborn.traced("term");
  expect(await sysmgr.exited()).toBe(0);
  expect([lives(pid), web.starts.length, sysmgr.count(/becoming/)]).toEqual([false, 1, 0]);
});

patientScenario("an upgrade that is asked for during a shutdown is none", async (box) => {
  const binary = new Replaceable(box);
  const gate = `${box.dir}/gate`;
  const web = box.service("web", lingeringUntil(gate));
  const sysmgr = await binary.start();
  await web.traced("ready");
  sysmgr.signal("SIGTERM");
  await web.traced("term");
  sysmgr.signal("SIGUSR2");
  touch(`${box.rundir}/.control/upgrade`);
  touch(gate);
  expect(await sysmgr.exited()).toBe(0);
  expect([sysmgr.count(/becoming/), web.starts.length]).toEqual([0, 1]);
});

scenario("a TERM at any moment of an upgrade is not lost", async (box) => {
  const binary = new Replaceable(box);
  for (let round = 0; round < 24; round++) {
    const sysmgr = await binary.start();
    sysmgr.signal("SIGUSR2");
    await Bun.sleep(round * 4);
    sysmgr.signal("SIGTERM");
    expect(await sysmgr.exited()).toBe(0);
  }
});

scenario("signals at any moment of an upgrade end nobody", async (box) => {
  const binary = new Replaceable(box);
  const web = box.service("web");
  const sysmgr = await binary.start();
  await web.running();
  const signals = ["SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGCONT", "SIGWINCH"] as const;
  const before = sysmgr.count(/becoming/);
  while (sysmgr.count(/becoming/) < before + 8) {
    for (const signal of signals) sysmgr.signal(signal);
    await Bun.sleep(2);
  }
  await sysmgr.answers();
  expect(web.starts.length).toBe(1);
});

scenario("a hundred upgrades in a row lose nothing and leak nothing", async (box) => {
  const binary = new Replaceable(box);
  const services = ["web", "db", "mail"].map((name) => box.service(name));
  const stopped = box.service("stopped");
  const sysmgr = await binary.start();
  const pids = await Promise.all(services.map((s) => s.running()));
  await stopped.running();
  await stopped.command("down");
  await stopped.is("down");
  await upgrade(sysmgr);
  sysmgr.rebase();
  const threads = () => Number(read(`/proc/${sysmgr.pid}/status`)?.match(/Threads:\s+(\d+)/)?.[1]);
  const before = { files: [...descriptors(sysmgr.pid).values()].length, threads: threads() };
  for (let round = 0; round < 100; round++) await upgrade(sysmgr);
  await sysmgr.verify();
  expect(descriptors(sysmgr.pid).size).toBeLessThanOrEqual(before.files);
  expect(threads()).toBeLessThanOrEqual(before.threads + 2);
  expect(services.map((s) => s.pid)).toEqual(pids);
  expect(services.map((s) => s.starts.length)).toEqual([1, 1, 1]);
  expect(stopped.status).toMatchObject({ state: "down", wanted: "down", exit: "signal TERM" });
  expect(read(`/proc/${sysmgr.pid}/environ`)?.split("SYSMGR_UPGRADE=").length).toBe(2);
  // What it was called with is what it will be called with: nothing grows.
  expect(read(`/proc/${sysmgr.pid}/cmdline`)).toStartWith(`${binary.path}\0-d\0`);
});

scenario("commands and markers that come during upgrades all take effect", async (box) => {
  const binary = new Replaceable(box);
  const [told, web, db] = [
    box.service("told", trapping("HUP")),
    box.service("web"),
    box.service("db"),
  ];
  const sysmgr = await binary.start();
  await told.traced("ready");
  for (const service of [told, web, db]) await service.running();

  let over = false;
  const upgrading = (async () => {
    while (!over) await upgrade(sysmgr);
  })();
  const hups = (async () => {
    for (let i = 1; i <= 40; i++) {
      expect(await box.run(["svctl", "hup", "told"])).toMatchObject({ code: 0, err: "" });
      await told.traced("HUP", i);
    }
  })();
  const restarts = (async () => {
    for (let i = 0; i < 25; i++) {
      const pid = await web.running();
      expect(await box.run(["svctl", "restart", "web"])).toMatchObject({ code: 0, err: "" });
      await web.runningAfter(pid);
      expect(lives(pid)).toBeFalse();
    }
  })();
  const markers = (async () => {
    for (let i = 0; i < 15; i++) {
      db.mark();
      await db.is("down");
      db.unmark();
      await db.running();
    }
  })();
  await Promise.all([hups, restarts, markers]).finally(() => {
    over = true;
  });
  await upgrading;
  expect([told.starts.length, db.starts.length]).toEqual([1, 16]);
  for (const service of [told, web, db]) expect(service.starts.filter(lives).length).toBe(1);
  expect(sysmgr.count(/becoming/)).toBeGreaterThan(5);
});

scenario("what was adopted from a dead sysmgr goes through upgrades as well", async (box) => {
  const binary = new Replaceable(box);
  const [web, db] = [box.service("web"), box.service("db")];
  const first = await binary.start();
  const pids = [await web.aged(1000), await db.running()];
  await first.crash();
  const second = await binary.start();
  await upgrade(second);
  await upgrade(second);
  expect([web.pid, db.pid]).toEqual(pids);
  kill(pids[0] ?? 0, "SIGKILL");
  await web.runningAfter(pids[0] ?? 0);
  expect(web.status.exit).toBe("unknown");
  await upgrade(second);
  await db.command("down");
  await db.is("down");
});

scenario("a RUNDIR that was lost just before comes back, and nobody is restarted", async (box) => {
  const binary = new Replaceable(box);
  const [web, db] = [box.service("web"), box.service("db")];
  const sysmgr = await binary.start();
  const pid = await web.running();
  await db.running();
  await db.command("down");
  await db.is("down");
  rename(box.rundir, `${box.rundir}.old`);
  sysmgr.signal("SIGUSR2");
  await sysmgr.says(/becoming |cannot upgrade/);
  await until(() => web.pid === pid, "RUNDIR is there again");
  await sysmgr.answers();
  expect([web.starts.length, db.starts.length, db.status.wanted]).toEqual([1, 1, "down"]);
  expect(readStat(sysmgr.pid)).not.toBeNull();
});
