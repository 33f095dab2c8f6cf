/** What svctl can do to services. */
import { LETTERS } from "../letters.ts";
import type { Command } from "../rundir.ts";
import type { Status } from "../status.ts";

/** What is to become of a service: the commands to send, in order, and how to tell that it is so. */
export type Operation = {
  readonly commands: readonly Command[];
  readonly goal: (now: Status, before: Status | null) => boolean;
  /** What it is called in `not ... after 7 s`. */
  readonly wish: string;
  /** Makes sense only for a service that runs. */
  readonly needsProcess?: boolean;
  /** Nothing is to be done for one that does not run. */
  readonly skipsIdle?: boolean;
  /** Goes on to KILL when the time is over. */
  readonly forced?: boolean;
  /** Then the same is done to its logger. */
  readonly withLogger?: boolean;
};

const isRunning = (s: Status) => s.process !== null && s.state !== "stopping";
const isDown = (s: Status) => s.process === null && s.state === "down";
const isNewLife = (s: Status, before: Status | null) =>
  isRunning(s) &&
  s.process?.started !== undefined &&
  s.runs !== (before?.process ? before.runs : -1);
const isAsWanted = (s: Status) =>
  s.wanted === "up" ? isRunning(s) : s.wanted === "down" ? isDown(s) : isRunning(s) || s.runs > 0;

const signal = (command: Command): Operation => ({
  commands: [command],
  goal: () => true,
  wish: "signalled",
  needsProcess: true,
});
const start: Operation = { commands: ["up"], goal: isRunning, wish: "up" };
const stop: Operation = { commands: ["down"], goal: isDown, wish: "down" };
const restart: Operation = { commands: ["restart"], goal: isNewLife, wish: "restarted" };
const once: Operation = {
  commands: ["once"],
  goal: (s, before) => isRunning(s) || s.runs > (before?.runs ?? 0),
  wish: "up",
};
const exit: Operation = { ...stop, withLogger: true };

const OPERATIONS: Readonly<Record<string, Operation>> = {
  start,
  up: start,
  stop,
  down: stop,
  restart,
  "try-restart": { ...restart, skipsIdle: true },
  once,
  kill: { commands: ["down", "kill"], goal: isDown, wish: "down" },
  exit,
  shutdown: exit,
  "force-stop": { ...stop, forced: true },
  "force-restart": { ...restart, forced: true },
  check: { commands: [], goal: isAsWanted, wish: "as it is wanted" },
  reload: signal("hup"),
  x: exit,
  ...Object.fromEntries(
    (["pause", "cont", "hup", "alarm", "int", "quit", "term", "usr1", "usr2"] as const).map(
      (command) => [command, signal(command)],
    ),
  ),
};

/** By its word, or by the letter that sv(8) has for it. */
export function operationOf(word: string): Operation | undefined {
  const command = Object.hasOwn(LETTERS, word) ? LETTERS[word] : undefined;
  // As a word it would be a stop; the letter only sends the signal.
  if (command === "kill") return signal(command);
  const name = command ?? word;
  return Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
}
