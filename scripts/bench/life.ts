// One run of one supervisor over N services: from its start until nothing of it is left.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { hasEnded, Marks, now, until } from "./observe.ts";
import type { Argv, Peer, Place } from "./peer.ts";
import { environment, processesOf, sweep } from "./proc.ts";

/** No measured step may take longer than this many seconds, plus some per service. */
const PATIENCE = 20;
const PATIENCE_PER_SERVICE = 0.02;
/** A life shorter than this (ms) makes most supervisors delay the next one on purpose. */
const MIN_UPTIME = 1200;

/** A measurement that this peer cannot take part in, and why. */
export class Skip extends Error {}

/** A command that was started: when, and how to know that it has ended. */
interface Running {
  readonly begun: number;
  /** Waits for its end; gives the time of it. Throws if it failed. */
  end(): Promise<number>;
}

export class Life {
  readonly names: string[];
  private readonly marks: Marks;
  private supervisor: Bun.Subprocess | undefined;
  private turn = 0;

  private constructor(
    readonly peer: Peer,
    readonly place: Place,
    readonly services: number,
    private readonly log: string,
  ) {
    this.names = Array.from({ length: services }, (_, i) => `s${String(i).padStart(5, "0")}`);
    this.marks = new Marks(place.marks);
  }

  /** Makes N services in the peer's layout under `root`, which must not exist. Starts nothing. */
  static prepare(peer: Peer, services: number, root: string): Life {
    const place: Place = {
      root,
      services: join(root, "services"),
      staging: join(root, "staging"),
      state: join(root, "state"),
      marks: join(root, "marks"),
    };
    for (const dir of [root, place.services, place.staging, place.state])
      mkdirSync(dir, { recursive: true });
    const life = new Life(peer, place, services, join(root, "log"));
    peer.prepare?.(place, life.names);
    for (const name of life.names) peer.stage(place, name)();
    return life;
  }

  /** Starts the supervisor; gives the ms until the last service ran. */
  async start(): Promise<number> {
    const begun = now();
    this.supervisor = this.spawn(this.peer.run(this.place), this.log);
    const all = () => this.marks.look() === this.services;
    return (await this.until(`${this.services} services running`, all)) - begun;
  }

  /** Ends all services the peer's own way; gives the ms until the last one had ended. */
  async shutdown(): Promise<number> {
    const pids = this.marks.pids();
    const supervisor = this.supervisorPid();
    const begun = now();
    if (typeof this.peer.shutdown === "string") process.kill(supervisor, this.peer.shutdown);
    else this.spawn(this.peer.shutdown(this.place, this.names, supervisor), this.log);
    // Only the last of the list is looked at: it costs the same for 1 and for 10,000.
    const gone = () => {
      for (let last = pids.at(-1); last !== undefined; last = pids.at(-1)) {
        if (!hasEnded(last)) return false;
        pids.pop();
      }
      return true;
    };
    return (await this.until("all services gone", gone)) - begun;
  }

  /** Kills whatever is left of this run and removes its files. */
  clear(): void {
    sweep(this.place.root);
    this.marks.close();
    rmSync(this.place.root, { recursive: true, force: true });
  }

  /** All processes of this run that are not services. */
  supervisors(): number[] {
    const services = new Set(this.marks.pids());
    return processesOf(this.place.root).filter((pid) => !services.has(pid));
  }

  /** Counts in a service that was added to the running supervisor. */
  add(name: string): void {
    this.names.push(name);
  }

  /** Services in turn, so that each has rested when it comes again. */
  next(): string {
    const name = this.names[this.turn++ % this.names.length];
    if (name === undefined) throw new Error("no services");
    return name;
  }

  /** Waits until a service has been up long enough for its next life not to be delayed. */
  async rested(name: string): Promise<number> {
    const life = this.marks.of(name);
    if (life === undefined) throw new Error(`${name} never ran`);
    await Bun.sleep(Math.max(0, life.at + (this.peer.minUptime ?? MIN_UPTIME) - now()));
    return life.pid;
  }

  /** Waits until a service runs under another pid than `former`; gives the time of it. */
  running(name: string, former?: number): Promise<number> {
    return this.until(`${name} running`, () => {
      const pid = this.marks.of(name)?.pid;
      return pid !== undefined && pid !== former;
    });
  }

  /** Waits until a process has ended; gives the time of it. */
  gone(pid: number): Promise<number> {
    return this.until(`pid ${pid} gone`, () => hasEnded(pid));
  }

  /** Starts a command in the same environment as the supervisor. */
  command(argv: Argv, output: string = this.log): Running {
    const begun = now();
    const child = this.spawn(argv, output);
    const end = async (): Promise<number> => {
      const ended = await this.until(`${argv[0]} ended`, () => hasEnded(child.pid));
      const code = await child.exited;
      if (code !== 0) throw new Error(`${argv.slice(0, 2).join(" ")}: exit ${code}`);
      return ended;
    };
    return { begun, end };
  }

  /** The last line that the supervisor or a tool wrote, for a failure's note. */
  lastWords(): string {
    try {
      return readFileSync(this.log, "utf8").trimEnd().split("\n").at(-1) ?? "";
    } catch {
      return "";
    }
  }

  private until(what: string, condition: () => boolean): Promise<number> {
    return until(what, PATIENCE + this.services * PATIENCE_PER_SERVICE, condition);
  }

  private supervisorPid(): number {
    if (this.supervisor === undefined) throw new Error("not started");
    return this.supervisor.pid;
  }

  private spawn(argv: Argv, output: string): Bun.Subprocess {
    const fd = openSync(output, "a");
    try {
      return Bun.spawn([...argv], {
        cwd: this.place.root,
        env: environment(this.place.root),
        stdin: "ignore",
        stdout: fd,
        stderr: fd,
        detached: true,
      });
    } finally {
      closeSync(fd);
    }
  }
}
