// The disk is full, so what has changed is not written down; then the supervisor is killed.
import { end, type Run } from "./run.ts";
import { type Cells, nth, type Scenario, services, stopping, takenOver } from "./scenario.ts";
import { type Fill, onSmallDisk, SIZE } from "./small-disk.ts";

const SERVICES = 5;
/** Until the new supervisor has done whatever it does (s): runsvdir and svscan look every 5. */
const SETTLED = 8;
const PATIENCE = 10;

export const diskFullRestart: Scenario = {
  id: "disk-supervisor",
  title: "The disk is full, a service has crashed, and then the supervisor is killed with -9",
  rows: [
    { id: "crashed", title: "the service that crashed, once there is a new supervisor" },
    { id: "others", title: "the others" },
    { id: "stop", title: "one of these is stopped with the control tool" },
  ],
  produced:
    `${SERVICES} services on a tmpfs of ${SIZE}, filled as above. One service gets SIGKILL and is ` +
    "started again; then the supervisor does. It is started again while the disk is still full, " +
    `and left for ${SETTLED} s.`,
  looked:
    "Whether each service runs as the same process as before, as another one, or as two; then how " +
    `long after the start of the control tool no process of one is left (${PATIENCE} s at most).`,
  attempt: (peer, root) => onSmallDisk({ peer, names: services(SERVICES), root }, attempt),
};

async function attempt(run: Run, fill: Fill): Promise<Cells> {
  await run.begin();
  const empty = fill();
  try {
    const first = nth(run, 0);
    if ((await run.crash(first, PATIENCE)) === undefined) throw new Error("not started again");
    await run.rest();
    const [crashed, ...others] = run.names.map((name) => run.life(name));
    end(run.top());
    run.launch();
    await Bun.sleep(SETTLED * 1000);
    return {
      crashed: takenOver(run, crashed === undefined ? [] : [crashed]),
      others: takenOver(run, others),
      stop: await stopping(run, nth(run, 1), PATIENCE),
    };
  } finally {
    empty();
  }
}
