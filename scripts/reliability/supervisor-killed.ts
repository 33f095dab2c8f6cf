// The process at the top is killed, and started again on what it has left.
import { type Life, runs } from "./lives.ts";
import { end, type Run, within } from "./run.ts";
import {
  bad,
  type Cell,
  type Cells,
  good,
  nth,
  type Scenario,
  services,
  stopping,
  takenOver,
  timed,
  withRun,
} from "./scenario.ts";

const SERVICES = 20;
/** Without a supervisor (s): first nothing happens, then a service crashes. */
const QUIET = 2;
const BEREFT = 5;
/** Until the new supervisor has done whatever it does (s): runsvdir and svscan look every 5. */
const SETTLED = 8;
const PATIENCE = 10;

export const supervisorKilled: Scenario = {
  id: "supervisor",
  title: "The supervisor is killed with -9",
  rows: [
    { id: "live", title: "the services" },
    { id: "meanwhile", title: "one crashes before there is a new supervisor" },
    { id: "taken", title: "the others, once there is one" },
    { id: "later", title: "one crashes later" },
    { id: "stop", title: "one is stopped with the control tool" },
  ],
  produced:
    `${SERVICES} services run. The process at the top (sysmgr, runsvdir, svscan, s6-svscan, ` +
    `supervisord) gets SIGKILL; ${QUIET} s later one of the services does; ${BEREFT} s later at ` +
    `most the same supervisor is started again on the same directories, and left for ${SETTLED} s.`,
  looked:
    "Which of the processes still run, whether each of the other services runs as the same " +
    "process as before, as another one, or as two; then how long after SIGKILL to the first " +
    "process of another service there is a new one, and how long after the start of the control " +
    `tool no process of a third one is left, and stays away (${PATIENCE} s at most).`,
  attempt: (peer, root) => withRun({ peer, names: services(SERVICES), root }, attempt),
};

async function attempt(run: Run): Promise<Cells> {
  await run.begin();
  const before = run.names.map((name) => run.life(name));
  end(run.top());
  await Bun.sleep(QUIET * 1000);
  const live = goingOn(before);
  const first = nth(run, 0);
  const answered = await run.crash(first, BEREFT);
  run.launch();
  const late = await within(SETTLED, () => run.lives.running(first).length > 0);
  await Bun.sleep(SETTLED * 1000);
  const taken = takenOver(run, before.slice(1));
  const second = nth(run, 1);
  return {
    live,
    meanwhile:
      answered === undefined ? byTheNext(late) : timed("started again after ", answered, ""),
    taken,
    later: timed(
      "started again after ",
      await run.crash(second, PATIENCE),
      run.lives.running(second).length > 0 ? "not noticed: a copy runs" : "not noticed",
    ),
    stop: await stopping(run, nth(run, 2), PATIENCE),
  };
}

function goingOn(before: readonly Life[]): Cell {
  const left = before.filter(runs).length;
  const words = `${left} of ${before.length} go on`;
  return left === before.length ? good(words) : bad(words, before.length - left);
}

function byTheNext(late: number | undefined): Cell {
  if (late === undefined) return bad("not started again, by the new one neither");
  return bad("started again by the new one only", BEREFT + late / 1000);
}
