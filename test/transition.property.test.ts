/** The transition function under 100,000 random histories; SEED=N repeats one run. */
import { expect, test } from "bun:test";
import { PLAIN, type Settings } from "../src/settings.ts";
import { type Exit, STATES } from "../src/status.ts";
import { Model, type Tally } from "./unit/model.ts";
import { chooseSeed, Random } from "./unit/random.ts";

const SEQUENCES = 100_000;
const LONGEST = 40;

const MARKERS = [null, "", "once\n", "0", "INT", "9\n", "garbage"] as const;
const COMMANDS = ["up", "down", "once", "restart"] as const;
const OUTCOMES = ["spawned", "spawned", "spawned", "passing", "failed"] as const;
const LEAPS = [1, 50, 250, 1_000, 5_000, 30_000] as const;
const EXITS: readonly [Exit, ...Exit[]] = [
  { code: 0 },
  { code: 1 },
  { signal: 15 },
  { unknown: true },
];

const SETTINGS: readonly [Settings, ...Settings[]] = [
  PLAIN,
  { ...PLAIN, finish: true },
  { ...PLAIN, finish: true, restart: { text: "unless 0 3", unless: [0, 3] }, stopTimeout: 3_000 },
  { ...PLAIN, restart: { text: "never", unless: "any" }, stopSignal: 2 },
  { ...PLAIN, delay: { wait: 5_000, below: 2_000 } },
  { ...PLAIN, finish: true, delay: { wait: 0, below: Number.POSITIVE_INFINITY } },
  { ...PLAIN, check: true, stopTimeout: 0 },
  { ...PLAIN, notificationFd: 3, finish: true },
];

type Step = (model: Model, random: Random) => void;

/** Each as often as it stands here. */
const steps: readonly [Step, ...Step[]] = [
  (m, r) => m.start(r.pick(OUTCOMES), r.chance(0.3), r.pick(SETTINGS)),
  (m, r) => m.start(r.pick(OUTCOMES), r.chance(0.3), r.pick(SETTINGS)),
  (m, r) => m.end(r.pick(EXITS)),
  (m) => m.reap(),
  (m) => m.reap(),
  (m, r) => {
    m.now += r.pick(LEAPS);
    m.timer(r.chance(0.2));
  },
  (m, r) => {
    m.now = Math.max(m.now, m.life.due ?? 0);
    m.timer(r.chance(0.2));
  },
  (m, r) => {
    m.file = r.pick(MARKERS);
    if (r.chance(0.8)) m.look();
  },
  (m) => m.look(),
  (m, r) => m.command(r.pick(COMMANDS)),
  (m, r) => m.command(r.pick(COMMANDS)),
  (m, r) => m.apply({ type: "signal", signal: 1 + r.below(64) }),
  (m) => m.apply({ type: "returned" }),
  (m) => m.finished(),
  (m) => m.finished(),
  (m, r) => m.checked(r.chance(0.5)),
  (m) => m.apply({ type: "ready" }),
  (m, r) => m.apply({ type: "entry", changed: r.chance(0.5) }),
  (m) => m.apply({ type: "present" }),
  (m, r) => m.apply({ type: r.chance(0.3) ? "leave" : "present" }),
];

/** Lets everything come that is under way: what was told to stop stops, what can start starts. */
function settle(model: Model): void {
  model.look();
  if (model.life.state === "failed") model.apply({ type: "entry", changed: true });
  for (let i = 0; i < 8; i++) {
    model.start("spawned");
    if (model.process?.stops) model.end({ code: 0 });
    model.reap();
    model.finished();
    model.checked(true);
    model.apply({ type: "ready" });
    // No sysmgr-depends runs in it any more.
    if (model.life.due === null) model.apply({ type: "returned" });
    model.now = Math.max(model.now, model.life.due ?? 0);
    model.timer(false);
  }
}

/** What must be so in the end, with nothing under way any more. */
function checkEnd(model: Model): void {
  const { wanted, leaving, state, due } = model.life;
  const running = model.process !== null;
  model.must(due === null && !model.spawnPending, "all is settled");
  if (leaving || wanted === "down") return model.must(!running && state === "down", "a stop wins");
  if (wanted === "once") {
    const over = state === "down" || state === "failed";
    return model.must(running ? state === "up" : over, "a single run runs, or is over");
  }
  model.must(running && state === "up", "what is wanted runs");
}

function history(seed: number, tally: Tally, trace: ((line: string) => void) | null): void {
  const random = new Random(seed);
  const model = new Model(tally, trace);
  for (let n = random.below(LONGEST); n >= 0; n--) random.pick(steps)(model, random);
  settle(model);
  checkEnd(model);
  model.file = "";
  settle(model);
  model.must(model.life.state === "down" && !model.process, "the stop marker always wins");
  model.file = null;
  model.apply({ type: "present" });
  settle(model);
  model.must(model.process !== null, "without a marker it is started again");
}

test("no history breaks a rule, and every state and effect is reached", () => {
  const seed = chooseSeed();
  const tally: Tally = { states: new Map(), effects: new Map() };
  for (let i = 0; i < SEQUENCES; i++) {
    try {
      history(seed + i, tally, null);
    } catch (error) {
      const lines: string[] = [`SEED=${seed + i}`];
      try {
        history(seed + i, tally, (line) => lines.push(line));
      } catch {}
      throw new Error(`${error}\n${lines.join("\n")}`);
    }
  }
  expect([...tally.states.keys()].sort()).toEqual([...STATES].sort());
  const effects = ["spawn", "signal", "stop", "stop with a signal", "kill", "finish", "check"];
  const marks = ["mark ", "mark gone", "mark once"];
  const logs = ["log debug", "log error", "log info"];
  expect([...tally.effects.keys()].sort()).toEqual([...effects, ...marks, ...logs].sort());
  for (const n of [...tally.states.values(), ...tally.effects.values()]) {
    expect(n).toBeGreaterThan(1_000);
  }
});
