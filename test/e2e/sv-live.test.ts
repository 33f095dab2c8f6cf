/** sv with runsvdir and runsv, and ours with sysmgr: the same stories, told twice. */
import { exists } from "../lib/files.ts";
import { ScannerPair, type Story, tellStories } from "../lib/pair.ts";

const both = exists("/usr/bin/sv") && exists("/usr/bin/runsvdir");

const STUBBORN = "trap '' TERM HUP; trace ready; while :; do sleep 0.1; done";
const SIGNALS = ["HUP", "ALRM", "INT", "QUIT", "USR1", "USR2", "TERM"];
const TRAPS = `${SIGNALS.map((s) => `trap 'trace ${s}' ${s}`).join("\n")}
trace ready
while :; do sleep 0.1; done`;
const GATED = "while [ ! -e gate ]; do sleep 0.1; done";
const ONCE = `sv o . || trace failed
trace told
${GATED}; rm gate
trace end`;

const RUNS = { status: /^run: / };
/** Old enough for a restart to be one even in whole seconds. */
const AGED = { status: /^run: [^;]* [1-9]\d*s/ };
const DOWN = { status: /^down: / };
/** That it is to be up: of one that is up the clients do not wait until the supervisor has heard. */
const HEARD = { status: /^run: (?!.*want down)/ };
const FINISHES = { status: /^finish: / };

const stories: Readonly<Record<string, Story>> = {
  "up and down": {
    steps: [
      RUNS,
      "sv status",
      "sv -v up",
      "sv -v down",
      "sv status",
      "sv -v down",
      "sv -v up",
      "sv status",
      "sv check",
      "sv d",
      DOWN,
      "sv check",
      "sv u",
      RUNS,
      "sv status",
    ],
  },
  "start and stop": {
    steps: [RUNS, "sv start", "sv stop", "sv stop", "sv check", "sv start", "sv status", "sv D"],
  },
  restart: { steps: [AGED, "sv restart", "sv status", { traced: "start", times: 2 }] },
  "restart of what is down": { steps: [RUNS, "sv stop", "sv restart", "sv status"] },
  "restart of what is to run once": { steps: [AGED, "sv once", "sv restart", "sv status"] },
  "force-restart": { steps: [AGED, "sv force-restart", { traced: "start", times: 2 }] },
  "try-restart": { steps: [AGED, "sv try-restart", "sv status", { traced: "start", times: 2 }] },
  "try-restart of what is down": { steps: [RUNS, "sv stop", "sv try-restart", "sv status"] },
  "force-reload": { steps: [AGED, "sv force-reload", "sv status", { traced: "start", times: 2 }] },
  "term and kill": {
    steps: [AGED, "sv -v term", AGED, "sv -v kill", "sv status", { traced: "start", times: 3 }],
  },
  once: {
    steps: [
      AGED,
      "sv -v once",
      "sv status",
      "sv once",
      "sv check",
      "sv -v term",
      "sv status",
      "sv once",
      RUNS,
      "sv status",
      "sv up",
      HEARD,
      "sv status",
      AGED,
      "sv -v term",
      { traced: "start", times: 3 },
    ],
  },
  "pause and cont": {
    steps: [
      RUNS,
      "sv -v pause",
      "sv status",
      "sv check",
      "sv -v cont",
      "sv status",
      "sv -v pause",
      "sv stop",
      "sv status",
      "sv -v pause",
      "sv -v cont",
    ],
  },
  "every signal": {
    run: TRAPS,
    steps: [
      { traced: "ready" },
      "sv hup",
      { traced: "HUP" },
      "sv alarm",
      { traced: "ALRM" },
      "sv interrupt",
      { traced: "INT" },
      "sv quit",
      { traced: "QUIT" },
      "sv 1",
      { traced: "USR1" },
      "sv 2",
      { traced: "USR2" },
      "sv reload",
      { traced: "HUP", times: 2 },
      "sv -v alarm",
      { traced: "ALRM", times: 2 },
      // After this one the original's status says so; ours cannot know.
      "sv term",
      { traced: "TERM" },
      "sv -v kill",
      { traced: "ready", times: 2 },
      "sv -w 4 force-stop",
      DOWN,
    ],
  },
  "signals for what is down": {
    steps: [RUNS, "sv stop", "sv hup", "sv -v hup", "sv reload", "sv term", "sv -v 1", "sv status"],
  },
  "who does not end": {
    run: STUBBORN,
    steps: [
      { traced: "ready" },
      "sv -w 4 stop",
      "sv status",
      "sv check",
      "sv -v hup",
      "sv -w 4 restart",
      "sv status",
      "sv -w 4 force-stop",
      DOWN,
      "sv status",
    ],
  },
  "who does not restart": {
    run: STUBBORN,
    steps: [
      { traced: "ready" },
      AGED,
      "sv -w 4 force-restart",
      { traced: "ready", times: 2 },
      "sv -w 4 force-stop",
      DOWN,
    ],
  },
  "normally down": {
    files: { down: "" },
    steps: [
      DOWN,
      "sv status",
      "sv check",
      "sv start",
      "sv status",
      "sv check",
      "sv -v once",
      "sv status",
      "sv stop",
      "sv status",
    ],
  },
  "a check that fails, and then does not": {
    files: { check: "#!/bin/sh\n[ -e good ]\n" },
    steps: [
      RUNS,
      "sv -w 1 check",
      "sv -w 1 start",
      "sv -v cont",
      "sv -w 4 restart",
      { touch: "good" },
      "sv check",
      "sv start",
      "sv stop",
      "sv check",
    ],
  },
  "a finish that takes its time": {
    files: { finish: `#!/bin/sh\n${GATED}\n` },
    steps: [
      RUNS,
      "sv down",
      FINISHES,
      "sv status",
      "sv -w 1 down",
      "sv -w 1 start",
      "sv status",
      "sv check",
      "sv -v hup",
      "sv down",
      { status: /want down/ },
      "sv status",
      { touch: "gate" },
      DOWN,
      "sv status",
    ],
  },
  "a one-shot": {
    run: ONCE,
    steps: [
      { traced: "told" },
      { status: /want down/ },
      "sv status",
      { touch: "gate" },
      DOWN,
      "sv status",
      "sv up",
      { traced: "told", times: 2 },
      { status: /want down/ },
      { touch: "gate" },
      DOWN,
      "sv status",
    ],
  },
  "a one-shot that is wanted again while it runs": {
    run: ONCE,
    linked: true,
    steps: [
      { traced: "told" },
      { status: /want down/ },
      "sv up",
      HEARD,
      "sv status",
      { touch: "gate" },
      { traced: "told", times: 2 },
      { status: /want down/ },
      { touch: "gate" },
      DOWN,
      "sv status",
    ],
  },
  "a service with a logger": {
    alone: "/usr/bin/runsv",
    run: "trace ready; while :; do echo line; sleep 0.1; done",
    files: { "log/run": "#!/bin/sh\nexec cat >/dev/null\n" },
    steps: [
      { traced: "ready" },
      { status: /^run: .*; run: log: / },
      "sv status",
      "sv status NAME/log",
      "sv -v down",
      "sv status",
      "sv -v down NAME/log",
      "sv status",
      "sv -v up NAME NAME/log",
      "sv status",
      "sv -v pause NAME/log",
      "sv status",
      "sv -v cont NAME/log",
      "sv -w 0 exit NAME/log",
      "sv check NAME/log",
      "sv -v exit",
    ],
  },
  exit: { alone: "/usr/bin/runsv", steps: [RUNS, "sv -v exit"] },
  shutdown: { alone: "/usr/bin/runsv", steps: [RUNS, "sv stop", "sv shutdown"] },
  "force-shutdown": { alone: "/usr/bin/runsv", steps: [RUNS, "sv force-shutdown"] },
};

tellStories(
  "sv and its supervisor do as the original",
  both,
  () => new ScannerPair((directory) => ["/usr/bin/runsvdir", directory], ["sv", "status"]),
  stories,
);
