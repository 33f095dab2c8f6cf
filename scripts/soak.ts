// Usage: bun scripts/soak.ts [--minutes N] [--seed N] [--services N] [--clients N] [--binary FILE]
//
//   --minutes N     how long (default 5; fractions are fine)
//   --seed N        the random decisions of an earlier run (default: another one each time)
//   --services N    how many services (default 200)
//   --clients N     how many clients (default 20)
//   --binary FILE   the sysmgr to try (default build/bin/sysmgr)
//
// Services that crash, hang, fork, ignore TERM and flap (soak/service.ts), clients that start,
// stop, restart, kill, remove and add them with svctl and with touch and rm (soak/clients.ts), a
// sysmgr that is killed with -9 and upgraded (soak/supervisor.ts), and an independent checker
// (soak/checker.ts). Now and then the clients pause until all has come to rest, at a quiet point;
// then the checker compares what should be with what is, and goes through the history:
//
//   - exactly the wanted services run; never did two of one run at the same time
//   - every life that ended had a reason; nothing that was to be down was started
//   - every acknowledged command took effect; none was lost
//   - sysmgr has no zombie, no more descriptors and little more memory than at the beginning
//   - in the end it stops all of them in time and leaves nothing
//
// Then test/fuzz.test.ts goes on for a third of that time, ten minutes at most.
//
// The decisions come again with the seed; their timing is the machine's. Ends with a table;
// exit 1 when there were violations, each told with its history (sysmgr's log is then kept in
// build/soak). Kills only what carries this run's directory in its environment.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Checker } from "./soak/checker.ts";
import { Client } from "./soak/clients.ts";
import { History } from "./soak/history.ts";
import { type Options, parse, UsageError } from "./soak/options.ts";
import { mainProcesses, processesOf, signal, stat, sweep, uptime } from "./soak/proc.ts";
import { Random } from "./soak/random.ts";
import { say, Tally } from "./soak/report.ts";
import { OWN_FAULTS } from "./soak/service.ts";
import { ALL_HARMS, type Harm, Supervisor } from "./soak/supervisor.ts";
import { list, World } from "./soak/world.ts";

const TOP = join(import.meta.dir, "..");
const TMPFS = "/dev/shm";
/** Between two quiet points, in seconds. */
const EPOCH = 15;
const LOOK_MS = 100;
/** So long until a new sysmgr has opened all it needs. */
const BARE_MS = 500;
/** Of ten services, so many are left in peace until the next quiet point. */
const CALM = 3;
const ENOUGH = 50;
/** What may happen to sysmgr between two quiet points. */
const MOODS: readonly (readonly Harm[])[] = [
  ["kill", "kills", "late"],
  ["upgrade", "svctl"],
  ALL_HARMS,
  ALL_HARMS,
];

class Soak {
  readonly tally = new Tally();
  private readonly world: World;
  private readonly history: History;
  private readonly supervisor: Supervisor;
  private readonly checker: Checker;
  private readonly random: Random;
  private readonly clients: Client[];
  private paused = false;

  constructor(
    private readonly root: string,
    options: Options,
  ) {
    const { seed, services, clients } = options;
    const { tally } = this;
    const places = World.places(root, options.binary);
    const history = new History(join(root, "lives"), (name, what) => tally.violation(name, what));
    this.tally.history = history;
    const world = new World(places, seed, services);
    this.history = history;
    this.world = world;
    this.random = new Random(seed, "soak");
    const deeds = new Random(seed, "supervisor");
    this.supervisor = new Supervisor(places, history, this.tally, deeds);
    this.checker = new Checker(world, history, this.supervisor, this.tally);
    this.clients = Array.from(
      { length: clients },
      (_, i) => new Client(world, history, tally, new Random(seed, `client ${i}`)),
    );
  }

  async run(minutes: number): Promise<void> {
    const end = uptime() + minutes * 60;
    const epoch = Math.min(EPOCH, (minutes * 60) / 3);
    const look = setInterval(() => this.history.look(), LOOK_MS);
    this.supervisor.start();
    await this.supervisor.ready();
    await Bun.sleep(BARE_MS);
    this.checker.noteBare();
    this.world.fill(this.random);
    await this.checker.check();
    for (let n = 0; uptime() < end && this.tally.violations.length < ENOUGH; n++) {
      // Every third time sysmgr itself is left alone: a new one begins with no leak.
      await this.trouble(epoch, n % 3 === 0 ? [] : this.random.pick(MOODS));
      await this.supervisor.ready();
      await this.checker.check();
      say(
        `${Math.max(0, Math.round(end - uptime()))} s left, ${this.tally.violations.length} violations`,
      );
    }
    await this.stop();
    clearInterval(look);
    this.history.look();
    for (const [word, what] of Object.entries(OWN_FAULTS))
      this.tally.fault(what, this.history.words.get(word) ?? 0);
  }

  /** Everybody does what they can, for so many seconds. */
  private async trouble(seconds: number, harms: readonly Harm[]): Promise<void> {
    for (const service of this.world.services) service.calm = this.random.below(10) < CALM;
    this.paused = false;
    const paused = () => this.paused;
    const pause = setTimeout(() => {
      this.paused = true;
    }, seconds * 1000);
    await Promise.all([
      ...this.clients.map((client) => client.work(paused)),
      this.harm(harms),
      this.kill(),
    ]);
    clearTimeout(pause);
  }

  private async harm(harms: readonly Harm[]): Promise<void> {
    while (!this.paused && harms.length > 0) {
      await this.rest(0.3, 4);
      if (!this.paused) await this.supervisor.harm(harms);
    }
  }

  /** Somebody kills services. */
  private async kill(): Promise<void> {
    while (!this.paused) {
      await this.rest(0.2, 1.5);
      const life = this.history.running(this.random.pick(this.world.services).name);
      if (!life) continue;
      this.checker.noteKill(life);
      if (signal(life.pid, "SIGKILL")) this.tally.fault("services killed with -9");
    }
  }

  private async rest(low: number, high: number): Promise<void> {
    const end = uptime() + this.random.between(low, high);
    while (!this.paused && uptime() < end) await Bun.sleep(20);
  }

  /**
   * The end: everything stops in time, and nothing is left of what ran then. Orphans of lives
   * that were over before, under a sysmgr that was killed, are nobody's any more.
   */
  private async stop(): Promise<void> {
    const before = mainProcesses(this.root);
    const code = await this.supervisor.stop();
    if (code !== 0) this.tally.violation(null, `sysmgr did not stop: exit ${code}`);
    const left = list(this.world.places.rundir);
    if (left.length > 0) this.tally.violation(null, `left in RUNDIR: ${left.join(" ")}`);
    const sessions = new Map([...before].flatMap(([name, all]) => all.map((p) => [p.pid, name])));
    for (const pid of processesOf(this.root)) {
      const process = stat(pid);
      const name = process && sessions.get(process.session);
      if (name) this.tally.violation(name, `pid ${pid} of its session runs after the end`);
    }
    for (const [name, all] of mainProcesses(this.root))
      this.tally.violation(name, `pid ${all.map((p) => p.pid).join(" ")} runs after the end`);
  }
}

/** Whichever way this process ends (but kill -9), its processes and files go with it. */
function leaveNothing(root: string): void {
  process.on("exit", () => {
    sweep(root);
    rmSync(root, { recursive: true, force: true });
  });
  process.on("SIGINT", () => process.exit(130));
  process.on("SIGTERM", () => process.exit(143));
  process.on("SIGHUP", () => process.exit(129));
}

function keep(root: string, seed: number): void {
  const directory = join(TOP, "build/soak");
  mkdirSync(directory, { recursive: true });
  for (const file of ["log", "lives"]) {
    if (existsSync(join(root, file)))
      copyFileSync(join(root, file), join(directory, `${file}.${seed}`));
  }
  say(`kept build/soak/log.${seed} and lives.${seed}`);
}

const FUZZ_MOST = 600;

/** Whatever reads a file or a name, fed with garbage for so many seconds. */
function fuzz(seconds: number, tally: Tally): void {
  const file = "test/fuzz.test.ts";
  // The time is for each of its tests.
  const tests = readFileSync(join(TOP, file), "utf8").match(/^ *fuzz\(/gm)?.length ?? 1;
  say(`fuzz: ${Math.round(seconds)} s`);
  const { exitCode } = Bun.spawnSync([process.execPath, "test", `./${file}`], {
    cwd: TOP,
    env: { ...process.env, FUZZ_SECONDS: String(seconds / tests) },
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (exitCode !== 0) tally.violation(null, `${file} failed`);
}

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2), join(TOP, "build/bin/sysmgr"));
  const { seed, services, clients, minutes } = options;
  const base = existsSync(TMPFS) ? TMPFS : tmpdir();
  const root = mkdtempSync(join(base, "sysmgr-soak."));
  leaveNothing(root);
  say(`${minutes} min, ${services} services, ${clients} clients, --seed ${seed}`);
  const soak = new Soak(root, { ...options, binary: resolve(options.binary) });
  // What goes wrong here is told with the rest: sysmgr may be why.
  await soak.run(minutes).catch((error: unknown) => {
    soak.tally.violation(null, error instanceof Error ? error.message : String(error));
  });
  fuzz(Math.min(FUZZ_MOST, minutes * 20), soak.tally);
  console.log(`\nseed ${seed}, ${minutes} min, ${services} services, ${clients} clients`);
  console.log(soak.tally.table());
  if (soak.tally.violations.length === 0) process.exit(0);
  keep(root, seed);
  process.exit(1);
}

try {
  await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exit(error instanceof UsageError ? 2 : 1);
}
