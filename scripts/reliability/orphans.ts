// Services are killed that have children and grandchildren, below a supervisor that is PID 1.
import { descendants, innerPid, type Life, runs } from "./lives.ts";
import { end, type Run, within } from "./run.ts";
import {
  type Cells,
  Impossible,
  neutral,
  type Scenario,
  services,
  timed,
  withRun,
} from "./scenario.ts";

const SERVICES = 5;
/** A child and a grandchild for each service; neither knows of the other's end. */
const BODY = "/bin/sh -c 'sleep 1000000 & exec sleep 1000000' &\nexec sleep 1000000";
const SETTLED = 2;
const PATIENCE = 10;

export const orphans: Scenario = {
  id: "orphans",
  title: "PID 1: a service is killed with -9 and leaves orphans",
  rows: [
    { id: "zombies", title: "zombies, when the orphans have ended" },
    { id: "beside", title: "the orphans until then" },
    { id: "back", title: "the services" },
  ],
  produced:
    "The supervisor is PID 1 of a namespace (unshare -pf --mount-proc). Each of " +
    `${SERVICES} services has a child and a grandchild. All services get SIGKILL, ${SETTLED} s ` +
    "later their children, and then their grandchildren.",
  looked:
    "How long after the last of them was killed no zombie is among the descendants of the " +
    "supervisor; how many of them ran on until they were killed; when the last service had a new " +
    `process (${PATIENCE} s at most).`,
  attempt(peer, root) {
    const enter = ["unshare", "-pf", "--mount-proc"];
    const setting = { peer, names: services(SERVICES), root, body: () => BODY, within: enter };
    return withRun(setting, attempt);
  },
};

async function attempt(run: Run): Promise<Cells> {
  run.launch();
  const all = () => run.lives.all().length >= SERVICES;
  if ((await within(PATIENCE, all)) === undefined) throw new Error("the services do not run");
  await run.rest();
  const init = descendants(run.top().pid)[0];
  if (init === undefined || innerPid(init.pid) !== 1) throw new Impossible("no PID namespace");
  const victims = run.lives.all().map((life) => outside(init.pid, life));
  const children = victims.flatMap(({ pid }) => descendants(pid));
  if (children.length !== 2 * SERVICES) throw new Error("not as many children as there should be");
  for (const victim of victims) end(victim);
  const back = await within(PATIENCE, () => successors(run, victims.length) === SERVICES);
  await Bun.sleep(SETTLED * 1000);
  const beside = children.filter(runs).length;
  for (const child of children) {
    end(child);
    await Bun.sleep(20);
  }
  const reaped = await within(PATIENCE, () => zombies(init.pid) === 0);
  return {
    zombies: timed("reaped after ", reaped, `${zombies(init.pid)} after ${PATIENCE} s`),
    beside: neutral(`${beside} of ${children.length} run on`),
    back: timed("all started again after ", back, `not all started again in ${PATIENCE} s`),
  };
}

const zombies = (init: number): number =>
  descendants(init).filter(({ state }) => state === "Z").length;

/** How many services have left another mark since there were so many. */
const successors = (run: Run, earlier: number): number =>
  new Set(
    run.lives
      .all()
      .slice(earlier)
      .map(({ name }) => name),
  ).size;

/** The process of a life that was marked inside of the namespace. */
function outside(init: number, life: Life): Life {
  const found = descendants(init).find(
    ({ pid, start }) => start === life.start && innerPid(pid) === life.pid,
  );
  if (found === undefined) throw new Error(`${life.name} is not in the namespace`);
  return { ...life, pid: found.pid };
}
