// One supervisor over some services, which may be killed and started again.
import { closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { now } from "../bench/observe.ts";
import type { Argv, Commit, Peer, Place } from "../bench/peer.ts";
import { environment, kill, processesOf, sweep } from "../bench/proc.ts";
import { type Life, Lives, markingScript, type Process, runs, stat } from "./lives.ts";

/** All peers are tried at the same time: looking more often would disturb them. */
const LOOK_MS = 10;
/** All services of a run are there within so many seconds, or it has failed. */
const START_SECONDS = 30;
/** No control tool may take longer (s). */
const COMMAND_SECONDS = 10;
/** A life shorter than this (ms) makes most supervisors delay the next one on purpose. */
const MIN_UPTIME = 1500;

export const SLEEPER = "exec sleep 1000000";

export interface Setting {
  readonly peer: Peer;
  readonly names: readonly string[];
  /** Does not exist yet. */
  readonly root: string;
  /** What a service does after its mark; default: it sleeps. */
  readonly body?: (name: string) => string;
  /** Put before the supervisor's command line. */
  readonly within?: Argv;
  /** Where services and state are, if not directly below root: made before this is. */
  readonly home?: string;
}

/** Waits until `condition` holds; gives the ms it took, undefined after so many seconds. */
export async function within(
  seconds: number,
  condition: () => boolean,
): Promise<number | undefined> {
  const begun = now();
  while (!condition()) {
    if (now() - begun > seconds * 1000) return undefined;
    await Bun.sleep(LOOK_MS);
  }
  return now() - begun;
}

export class Run {
  readonly place: Place;
  readonly lives: Lives;
  readonly peer: Peer;
  readonly names: readonly string[];
  private supervisor: Bun.Subprocess | undefined;
  private readonly before: Argv;

  constructor({ peer, names, root, body, within, home = root }: Setting) {
    const marks = join(root, "marks");
    this.place = {
      root,
      services: join(home, "services"),
      staging: join(home, "staging"),
      state: join(home, "state"),
      marks,
      script: (name) => markingScript(marks, name, body?.(name) ?? SLEEPER),
    };
    this.peer = peer;
    this.names = names;
    this.before = within ?? [];
    this.lives = new Lives(marks);
    const { services, staging, state } = this.place;
    for (const dir of [root, services, staging, state]) mkdirSync(dir, { recursive: true });
    peer.prepare?.(this.place, names);
    for (const name of names) this.stage(name)();
  }

  /** Starts the supervisor, for the first time or again. */
  launch(argv: Argv = this.peer.run(this.place)): void {
    this.supervisor = this.spawn([...this.before, ...argv]);
  }

  /** Starts the supervisor; all services have been up for a while when this returns. */
  async begin(): Promise<void> {
    this.launch();
    const all = () => this.names.every((name) => this.lives.running(name).length > 0);
    if ((await within(START_SECONDS, all)) === undefined)
      throw new Error(`not all services run within ${START_SECONDS} s`);
    await this.rest();
  }

  /** Until no supervisor delays the restart of a service any more. */
  rest(): Promise<void> {
    return Bun.sleep(Math.max(MIN_UPTIME, this.peer.minUptime ?? 0));
  }

  /** The process that was started last. */
  top(): Process {
    const found = this.supervisor && stat(this.supervisor.pid);
    if (found === undefined) throw new Error("the supervisor does not run");
    return found;
  }

  /** The only running life of a service. */
  life(name: string): Life {
    const [life, second] = this.lives.running(name);
    if (life === undefined || second !== undefined)
      throw new Error(`${name}: not exactly one process runs`);
    return life;
  }

  /** Everything of this run that is not a service itself, zombies left out. */
  supervisors(): Process[] {
    const services = new Set(this.lives.all().map((life) => life.pid));
    return this.processes().filter(({ pid }) => !services.has(pid));
  }

  processes(): Process[] {
    return processesOf(this.place.root)
      .map(stat)
      .filter((each) => each !== undefined)
      .filter(runs);
  }

  /** Kills a service; gives the ms until another life of it runs. */
  async crash(name: string, seconds: number): Promise<number | undefined> {
    const earlier = new Set(this.lives.all().map(identity));
    const victim = this.lives.running(name)[0];
    if (victim === undefined) return undefined;
    end(victim);
    return within(seconds, () =>
      this.lives.running(name).some((life) => !earlier.has(identity(life))),
    );
  }

  stage(name: string): Commit {
    return this.peer.stage(this.place, name);
  }

  /** Runs a control tool to its end, or kills it when it takes too long. Gives what it wrote. */
  async command(argv: Argv): Promise<string> {
    const child = Bun.spawn([...argv], { ...this.options(), stdout: "pipe", stderr: "pipe" });
    const timer = setTimeout(() => child.kill("SIGKILL"), COMMAND_SECONDS * 1000);
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    clearTimeout(timer);
    return out + err;
  }

  /** Asks all services to stop, the peer's own way. */
  askToStop(): void {
    const { shutdown } = this.peer;
    const { pid } = this.top();
    if (typeof shutdown === "string") kill(pid, shutdown);
    else this.spawn(shutdown(this.place, this.names, pid));
  }

  clear(): void {
    sweep(this.place.root);
    rmSync(this.place.root, { recursive: true, force: true });
  }

  private options() {
    const { root } = this.place;
    return { cwd: root, env: environment(root), stdin: "ignore", detached: true } as const;
  }

  private spawn(argv: Argv): Bun.Subprocess {
    const log = openSync(join(this.place.root, "log"), "a");
    try {
      return Bun.spawn([...argv], { ...this.options(), stdout: log, stderr: log });
    } finally {
      closeSync(log);
    }
  }
}

const identity = ({ pid, start }: Process): string => `${pid} ${start}`;

/** Kills that very process, and never another one that has its pid by now. */
export function end(process: Process): void {
  if (runs(process)) kill(process.pid, "SIGKILL");
}
