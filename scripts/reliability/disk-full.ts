// The disk that the supervisor keeps its state on is full.
import type { Commit } from "../bench/peer.ts";
import { runs } from "./lives.ts";
import { type Run, within } from "./run.ts";
import {
  bad,
  type Cell,
  type Cells,
  good,
  nth,
  type Scenario,
  services,
  statusOf,
  stopping,
  timed,
} from "./scenario.ts";
import { type Fill, onSmallDisk, REFILL_MS, SIZE } from "./small-disk.ts";

const SERVICES = 5;
const PATIENCE = 10;

export const diskFull: Scenario = {
  id: "disk",
  title: "The disk with the supervisor's state is full",
  rows: [
    { id: "crash", title: "a service crashes" },
    { id: "status", title: "what the status tool says of it then" },
    { id: "stop", title: "another is stopped with the control tool" },
    { id: "new", title: "a new one is added" },
    { id: "survives", title: "the supervising processes" },
    { id: "healed", title: "when there is room again" },
  ],
  produced:
    `${SERVICES} services; their definitions and all state of the supervisor are on a tmpfs of ` +
    `${SIZE}, mounted for this run. Once they run, a file takes all that is free, and every ` +
    `${REFILL_MS} ms what has become free since. Files can still be made, moved and removed, but ` +
    "not written to, as on a disk without a free block. The new service was made before and is " +
    "moved into place. In the end the file is removed.",
  looked:
    "How long after SIGKILL a service has a new process; whether the status tool names it; how " +
    "long after the start of the control tool no process of another service is left; how long " +
    "after it was moved into place (and told, where it must be) the new one runs. When there is " +
    "room again: whether the status becomes right, the new one runs, the stopped one can be started, the service that " +
    `crashed is started again after another SIGKILL, and its status is right. ${PATIENCE} s for each.`,
  attempt: (peer, root) => onSmallDisk({ peer, names: services(SERVICES), root }, trouble),
};

async function trouble(run: Run, fill: Fill): Promise<Cells> {
  const commit = run.stage("new");
  await run.begin();
  const before = run.supervisors();
  const empty = fill();
  try {
    const crash = await run.crash(nth(run, 0), PATIENCE);
    const full = {
      crash: timed("started again after ", crash, `not started again in ${PATIENCE} s`),
      status: await statusOf(run, nth(run, 0)),
      stop: await stopping(run, nth(run, 1), PATIENCE),
      new: await add(run, commit),
      survives: surviving(before.filter(runs).length, before.length),
    };
    empty();
    return { ...full, healed: await healed(run) };
  } finally {
    empty();
  }
}

async function add(run: Run, commit: Commit): Promise<Cell> {
  const tell = commit();
  const telling = tell && run.command(tell);
  const took = await within(PATIENCE, () => run.lives.running("new").length > 0);
  await telling;
  return timed("started after ", took, `not started in ${PATIENCE} s`);
}

const surviving = (left: number, all: number): Cell => {
  const words = `${left} of ${all} live`;
  return left === all ? good(words) : bad(words, all - left);
};

/** Everything that does not work although there is room again. */
async function healed(run: Run): Promise<Cell> {
  const { peer, place, lives } = run;
  const troubles: string[] = [];
  const expect = (it: boolean, otherwise: string): unknown => it || troubles.push(otherwise);
  expect(await told(run, nth(run, 0)), "status stays wrong until the next change");
  expect(await arrives(run, "new"), "the new one never runs");
  if (peer.start !== undefined) {
    await run.command(peer.start(place, nth(run, 1)));
    expect(await arrives(run, nth(run, 1)), "the stopped one does not start");
  }
  await run.rest();
  const again = await run.crash(nth(run, 0), PATIENCE);
  expect(again !== undefined, "another crash is not answered");
  expect(await told(run, nth(run, 0)), "status is wrong after another crash");
  const copies = run.names.filter((name) => lives.running(name).length > 1).length;
  expect(copies === 0, `${copies} run twice`);
  return troubles.length === 0 ? good("all is well") : bad(troubles.join(", "), troubles.length);
}

/** Whether the status tool comes to tell the truth, where there is one. */
async function told(run: Run, name: string): Promise<boolean> {
  const deadline = performance.now() + PATIENCE * 1000;
  for (;;) {
    const { cost } = await statusOf(run, name);
    if (cost !== Number.POSITIVE_INFINITY) return true;
    if (performance.now() > deadline) return false;
  }
}

const arrives = async (run: Run, name: string): Promise<boolean> =>
  (await within(PATIENCE, () => run.lives.running(name).length > 0)) !== undefined;
