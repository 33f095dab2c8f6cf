/** svc and svstat with svscan and supervise, and ours with sysmgr: the same stories, told twice. */
import { exists } from "../lib/files.ts";
import { ScannerPair, type Story, tellStories } from "../lib/pair.ts";

const both = ["svc", "svstat", "svscan"].every((name) => exists(`/usr/bin/${name}`));

const SIGNALS = ["HUP", "ALRM", "INT", "TERM", "CONT"];
const TRAPS = `${SIGNALS.map((s) => `trap 'trace ${s}' ${s}`).join("\n")}
trace ready
while :; do sleep 0.1; done`;
/** svc does not wait for supervise, and no status tells whether that has read its command. */
const ONCE = `svc -o . || trace failed
sleep 1
trace told
while [ ! -e gate ]; do sleep 0.1; done; rm gate
trace end`;

const UP = { status: /: up / };
const DOWN = { status: /: down / };
/** That it is to be up: nobody waits until the supervisor has heard. */
const HEARD = { status: /: up (?!.*want down)/ };
/** Neither has to wait before it starts it again. */
const AGED = { status: /: up .*\) ([2-9]|\d\d+) seconds/ };

const stories: Readonly<Record<string, Story>> = {
  "up and down": {
    steps: [UP, "svstat", "svc -d", DOWN, "svstat", "svok", "svc -u", UP, "svstat", "svc -d", DOWN],
  },
  "many letters at once": {
    steps: [AGED, "svc -du", { traced: "start", times: 2 }, AGED, "svc -ucd", DOWN, "svstat"],
  },
  once: {
    steps: [
      AGED,
      "svc -o",
      "svstat",
      "svc -t",
      DOWN,
      "svstat",
      "svc -o",
      UP,
      "svstat",
      "svc -u",
      HEARD,
      "svstat",
      AGED,
      "svc -k",
      { traced: "start", times: 3 },
      UP,
      "svstat",
    ],
  },
  restart: { steps: [AGED, "svc -t", { traced: "start", times: 2 }, UP, "svstat"] },
  kill: { steps: [AGED, "svc -k", { traced: "start", times: 2 }, UP, "svstat"] },
  "pause and cont": {
    steps: [
      UP,
      "svc -p",
      { status: /paused/ },
      "svstat",
      "svc -c",
      { status: /seconds$/m },
      "svstat",
      "svc -p",
      "svc -d",
      DOWN,
      "svstat",
    ],
  },
  "every signal": {
    run: TRAPS,
    steps: [
      { traced: "ready" },
      "svc -h",
      { traced: "HUP" },
      "svc -a",
      { traced: "ALRM" },
      "svc -i",
      { traced: "INT" },
      "svc -c",
      { traced: "CONT" },
      "svc -t",
      { traced: "TERM" },
      "svstat",
      "svc -d",
      { traced: "TERM", times: 2 },
      { traced: "CONT", times: 2 },
      { status: /want down/ },
      "svstat",
      "svc -k",
      DOWN,
      "svstat",
    ],
  },
  "normally down": {
    files: { down: "" },
    steps: [DOWN, "svstat", "svc -u", UP, "svstat", "svc -o", "svstat", "svc -d", DOWN, "svstat"],
  },
  "a one-shot that is wanted again while it runs": {
    run: ONCE,
    linked: true,
    steps: [
      { traced: "told" },
      "svc -u",
      HEARD,
      "svstat",
      { touch: "gate" },
      { traced: "told", times: 2 },
      { touch: "gate" },
      DOWN,
      "svstat",
    ],
  },
};

tellStories(
  "svc, svstat and their supervisor do as the originals",
  both,
  () => new ScannerPair((directory) => ["/usr/bin/svscan", directory], ["svstat"]),
  stories,
);
