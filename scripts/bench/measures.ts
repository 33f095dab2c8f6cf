// What is measured, and how: the rows of the table, and the code that takes their samples.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cpuTime } from "../../src/libc.ts";
import { type Life, Skip } from "./life.ts";
import { now } from "./observe.ts";
import type { Argv, Group } from "./peer.ts";
import { machineTime, memoryOf } from "./proc.ts";

/** A row of the table; one group may fill several. Less is better in all of them. */
export interface Row {
  readonly id: string;
  readonly group: Group;
  readonly title: string;
  readonly unit: "ms" | "MB" | "%" | "";
  /** How it is measured, in one sentence. */
  readonly how: string;
  /** What we want to reach: at this N, at most `most`, or less than every peer. */
  readonly goal?: { readonly n: number; readonly most?: number; readonly ahead?: true };
}

export const ROWS: readonly Row[] = [
  {
    id: "start",
    group: "start",
    title: "start of all",
    unit: "ms",
    how: "exec of the supervisor until the last service has written its mark",
  },
  {
    id: "kill",
    group: "kill",
    title: "kill -9 to successor",
    unit: "ms",
    how: "kill() of a service that was up for more than 1 s until its next life's mark",
    goal: { n: 100, ahead: true },
  },
  {
    id: "new",
    group: "new",
    title: "new service to running",
    unit: "ms",
    how: "rename() of a finished service into place until its mark, rescan command included",
    goal: { n: 100, most: 4, ahead: true },
  },
  {
    id: "stop",
    group: "control",
    title: "stop one, until gone",
    unit: "ms",
    how: "start of the control tool until the service's process has ended",
    goal: { n: 100, most: 8 },
  },
  {
    id: "stop-command",
    group: "control",
    title: "  the stop command",
    unit: "ms",
    how: "start of the control tool until its own end",
  },
  {
    id: "start-one",
    group: "control",
    title: "start one, until running",
    unit: "ms",
    how: "start of the control tool until the service's mark",
    goal: { n: 100, most: 9 },
  },
  {
    id: "start-command",
    group: "control",
    title: "  the start command",
    unit: "ms",
    how: "start of the control tool until its own end",
  },
  {
    id: "status",
    group: "status",
    title: "status of all",
    unit: "ms",
    how: "start of the status command(s) until the end, N lines written to a file",
    goal: { n: 1000, most: 20 },
  },
  {
    id: "pss",
    group: "memory",
    title: "memory, PSS",
    unit: "MB",
    how: "Pss of all processes that are not services (a process of ours is shared with none)",
    goal: { n: 1000, most: 28 },
  },
  {
    id: "anonymous",
    group: "memory",
    title: "memory, anonymous",
    unit: "MB",
    how: "Pss_Anon of the same processes",
    goal: { n: 1000, most: 6 },
  },
  {
    id: "processes",
    group: "memory",
    title: "supervising processes",
    unit: "",
    how: "how many those are",
  },
  {
    id: "idle",
    group: "idle",
    title: "CPU per idle minute",
    unit: "ms",
    how: "time on CPU (their clocks, all threads) of the same processes, scaled to a minute",
    goal: { n: 1000, most: 3 },
  },
  {
    id: "others",
    group: "idle",
    title: "  machine busy meanwhile",
    unit: "%",
    how: "CPU of the whole machine in that window: above 1 or 2, somebody disturbs this run",
  },
  {
    id: "shutdown",
    group: "shutdown",
    title: "stop signal to all gone",
    unit: "ms",
    how: "SIGTERM, or the peer's way, until the last service's process has ended",
    goal: { n: 1000, ahead: true },
  },
];

/** Samples per row id. */
export type Samples = Readonly<Record<string, readonly number[]>>;

export interface Effort {
  /** Repetitions of a latency in one life. */
  readonly repetitions: number;
  /** Length of the idle window in seconds. */
  readonly idle: number;
}

/** A slow peer gets fewer repetitions: no group takes longer than this (ms) in one life. */
const BUDGET = 8_000;

type Take = (life: Life, effort: Effort) => Promise<Samples>;

/** The groups that are measured on a living supervisor, in the order that disturbs least. */
export const TAKES: ReadonlyMap<Group, Take> = new Map<Group, Take>([
  ["idle", idle],
  ["memory", memory],
  ["status", status],
  ["kill", killing],
  ["control", control],
  ["new", arrival],
]);

async function idle(life: Life, effort: Effort): Promise<Samples> {
  const before = cpu(life);
  const machineBefore = machineTime();
  const begun = now();
  await Bun.sleep(effort.idle * 1000);
  const machineAfter = machineTime();
  const used = cpu(life) - before;
  const busy = machineAfter.busy - machineBefore.busy;
  return {
    idle: [used * (60_000 / (now() - begun))],
    others: [(100 * busy) / (machineAfter.total - machineBefore.total)],
  };
}

const cpu = (life: Life): number => life.supervisors().reduce((sum, pid) => sum + cpuTime(pid), 0);

async function memory(life: Life): Promise<Samples> {
  const pids = life.supervisors();
  const { pss, anonymous } = memoryOf(pids);
  return { pss: [pss], anonymous: [anonymous], processes: [pids.length] };
}

async function status(life: Life, effort: Effort): Promise<Samples> {
  const command = need(life, life.peer.status)(life.place, life.names);
  const output = join(life.place.root, "status");
  const samples = await repeat(effort, async () => {
    rmSync(output, { force: true });
    const running = life.command(command, output);
    return (await running.end()) - running.begun;
  });
  const lines = readFileSync(output, "utf8").trimEnd().split("\n").length;
  if (lines < life.services) throw new Error(`status lists ${lines} of ${life.services}`);
  return { status: samples };
}

async function killing(life: Life, effort: Effort): Promise<Samples> {
  const samples = await repeat(effort, async () => {
    const name = life.next();
    const pid = await life.rested(name);
    const begun = now();
    process.kill(pid, "SIGKILL");
    return (await life.running(name, pid)) - begun;
  });
  return { kill: samples };
}

/** Milliseconds from the start of a command to what it was for, and to its own end. */
interface Timed {
  readonly effect: number;
  readonly command: number;
}

async function control(life: Life, effort: Effort): Promise<Samples> {
  const stop = need(life, life.peer.stop);
  const start = need(life, life.peer.start);
  const stops: Timed[] = [];
  const starts: Timed[] = [];
  const timed = async (argv: Argv, effect: () => Promise<number>): Promise<Timed> => {
    const running = life.command(argv);
    const seen = await effect();
    return { effect: seen - running.begun, command: (await running.end()) - running.begun };
  };
  await repeat(effort, async () => {
    const name = life.next();
    const pid = await life.rested(name);
    stops.push(await timed(stop(life.place, name), () => life.gone(pid)));
    await Bun.sleep(100); // let the supervisor finish its own business with it
    starts.push(await timed(start(life.place, name), () => life.running(name, pid)));
    return 0;
  });
  return {
    stop: stops.map((each) => each.effect),
    "stop-command": stops.map((each) => each.command),
    "start-one": starts.map((each) => each.effect),
    "start-command": starts.map((each) => each.command),
  };
}

async function arrival(life: Life, effort: Effort): Promise<Samples> {
  const { peer, place, services } = life;
  if (peer.limit !== undefined && services + effort.repetitions > peer.limit)
    throw new Skip(`refuses more than ${peer.limit} services`);
  let serial = 0;
  const samples = await repeat(effort, async () => {
    const name = `n${String(serial++).padStart(5, "0")}`;
    const commit = peer.stage(place, name);
    await Bun.sleep(Math.random() * (peer.interval ?? 100)); // not in step with its looks
    const begun = now();
    const tell = commit();
    const telling = tell === undefined ? undefined : life.command(tell);
    const taken = (await life.running(name)) - begun;
    await telling?.end();
    life.add(name);
    return taken;
  });
  return { new: samples };
}

/** An operation of the peer, or the reason why there is none. */
function need<T>(_life: Life, operation: T | undefined): T {
  if (operation === undefined) throw new Skip("has no tool for it");
  return operation;
}

async function repeat(effort: Effort, sample: () => Promise<number>): Promise<number[]> {
  const samples: number[] = [];
  const begun = now();
  while (samples.length < effort.repetitions && now() - begun < BUDGET)
    samples.push(await sample());
  return samples;
}
