// The supervisor is asked to stop, and one of its services does not want to.
import { runs } from "./lives.ts";
import { type Run, SLEEPER, within } from "./run.ts";
import { bad, type Cells, type Scenario, timed, withRun } from "./scenario.ts";

const STUBBORN = "stubborn";
const NAMES = ["willing", STUBBORN];
const PATIENCE = 20;

export const stubborn: Scenario = {
  id: "stubborn",
  title: "The supervisor is asked to stop, and a service ignores TERM",
  rows: [
    { id: "willing", title: "the other service" },
    { id: "all", title: "everything" },
  ],
  produced:
    "Two services, one of which ignores SIGTERM. The supervisor is asked to stop all of them, as " +
    "its manual says: SIGTERM; runsvdir SIGHUP; svscan SIGTERM and then svc -dx for each service.",
  looked:
    "When the other service has ended, and when no process of the run is left, services and " +
    `supervisors (${PATIENCE} s at most).`,
  attempt(peer, root) {
    const body = (name: string): string =>
      name === STUBBORN ? `trap "" TERM\n${SLEEPER}` : SLEEPER;
    return withRun({ peer, names: NAMES, root, body }, attempt);
  },
};

async function attempt(run: Run): Promise<Cells> {
  await run.begin();
  const willing = run.life("willing");
  const before = run.processes();
  run.askToStop();
  const begun = performance.now();
  const first = await within(PATIENCE, () => !runs(willing));
  const all = await within(PATIENCE - (performance.now() - begun) / 1000, () => !before.some(runs));
  const took = all === undefined ? undefined : performance.now() - begun;
  const left = run.processes();
  return {
    willing: timed("gone after ", first, `runs after ${PATIENCE} s`),
    all:
      left.length === 0
        ? timed("gone after ", took, "")
        : bad(`never: ${left.length} processes run after ${PATIENCE} s`),
  };
}
