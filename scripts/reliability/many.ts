// One service more than runsvdir and svscan have room for.

import { now } from "../bench/observe.ts";
import type { Argv } from "../bench/peer.ts";
import { runs } from "./lives.ts";
import type { Run, Setting } from "./run.ts";
import { bad, type Cell, count, good, type Scenario, services, withRun } from "./scenario.ts";

const SERVICES = 1001;
const PATIENCE = 60;
/** No new service for so long (s): that was all. */
const STILL = 10;

export const many: Scenario = {
  id: "many",
  title: `${count(SERVICES)} services`,
  alone: true,
  rows: [{ id: "run", title: "run" }],
  produced:
    `A supervisor is started on a directory of ${count(SERVICES)} services. Where it has an option ` +
    "for more of them than by default (s6-svscan -c), it is tried with and without.",
  looked:
    "How many services have a process: when each has left its mark, or when none has come for " +
    `${STILL} s, ${PATIENCE} s after the start at the latest.`,
  async attempt(peer, root) {
    const setting = { peer, names: services(SERVICES), root };
    const most = await running(setting, (run) => peer.run(run.place));
    const { runByDefault } = peer;
    if (runByDefault === undefined) return { run: most };
    const fewer = await running(setting, (run) => runByDefault(run.place));
    return { run: { ...most, words: `${most.words} with an option; else ${fewer.words}` } };
  },
};

function running(setting: Setting, argv: (run: Run) => Argv): Promise<Cell> {
  return withRun(setting, async (run) => {
    run.launch(argv(run));
    await comeToRest(run);
    const names = new Set(
      run.lives
        .all()
        .filter(runs)
        .map((life) => life.name),
    );
    const missing = SERVICES - names.size;
    return missing === 0 ? good("all") : bad(`${count(names.size)}`, missing);
  });
}

async function comeToRest(run: Run): Promise<void> {
  const begun = now();
  let last = begun;
  for (let seen = 0; now() - last < STILL * 1000 && now() - begun < PATIENCE * 1000; ) {
    await Bun.sleep(500);
    const names = new Set(run.lives.all().map(({ name }) => name)).size;
    if (names === SERVICES) return;
    if (names > seen) last = now();
    seen = names;
  }
}
