// The process that keeps one service is killed: runsv, supervise, s6-supervise.
import { type Process, runs, stat } from "./lives.ts";
import { end, type Run } from "./run.ts";
import {
  bad,
  type Cell,
  type Cells,
  good,
  neutral,
  nth,
  type Scenario,
  services,
  stopping,
  withRun,
} from "./scenario.ts";

const SERVICES = 3;
/** Until its successor has done whatever it does (s): runsvdir and svscan look every 5. */
const SETTLED = 8;
const PATIENCE = 10;

export const keeperKilled: Scenario = {
  id: "keeper",
  title: "The process that supervises one service is killed with -9",
  rows: [
    { id: "service", title: "the service" },
    { id: "stop", title: "it is stopped with the control tool" },
  ],
  produced:
    `${SERVICES} services run. The parent of one of them (runsv, supervise, s6-supervise) gets ` +
    `SIGKILL. Not applicable where that is the supervisor itself, which is the scenario above. ` +
    "No service has an option against it, such as s6's lock-fd file.",
  looked:
    `How many processes of that service run ${SETTLED} s later, and whether the first one is ` +
    "among them; then whether any is left after the control tool was asked to stop it.",
  attempt: (peer, root) => withRun({ peer, names: services(SERVICES), root }, attempt),
};

async function attempt(run: Run): Promise<Cells> {
  await run.begin();
  const name = nth(run, 0);
  const life = run.life(name);
  const keeper = stat(stat(life.pid)?.parent ?? 0);
  if (keeper === undefined) throw new Error(`${name} has no parent`);
  if (keeper.pid === run.top().pid) {
    const none = neutral("not applicable: one process for all");
    return { service: none, stop: none };
  }
  end(keeper);
  await Bun.sleep(SETTLED * 1000);
  return { service: fate(run, name, life), stop: await stopping(run, name, PATIENCE) };
}

function fate(run: Run, name: string, life: Process): Cell {
  const copies = run.lives.running(name).length;
  if (copies > 1) return bad(`started a second time: ${copies} run`, copies - 1);
  if (copies === 0) return bad("ended, not started again");
  return runs(life) ? good("left alone") : bad("restarted", 1);
}
