/** The words that sv(8) takes for commands. */

export type Action = {
  /**
   * One character each for what is sent and waited for, as runsv reads them from its control pipe;
   * besides: x, exit; s, print the status; C, send nothing and look whether all is well.
   */
  readonly letters: string;
  /** Waits, even without -v. */
  readonly waits: boolean;
  /** Sends KILL when the time is over. */
  readonly kills: boolean;
};

const sends = (letters: string): Action => ({ letters, waits: false, kills: false });
const waits = (letters: string): Action => ({ letters, waits: true, kills: false });
const forces = (letters: string): Action => ({ letters, waits: true, kills: true });

/** Words that count as a whole. */
const WORDS: Readonly<Record<string, Action>> = {
  check: waits("C"),
  "force-reload": forces("tc"),
  "force-restart": forces("tcu"),
  "force-shutdown": forces("x"),
  "force-stop": forces("d"),
  reload: waits("h"),
  restart: waits("tcu"),
  shutdown: waits("x"),
  start: waits("u"),
  stop: waits("d"),
  "try-restart": waits("tc"),
};

/** All others count by their first character. */
const INITIALS: Readonly<Record<string, Action>> = {
  ...Object.fromEntries([..."udopchaiqtk12"].map((letter) => [letter, sends(letter)])),
  e: sends("x"),
  x: sends("x"),
  s: sends("s"),
  D: forces("d"),
  E: forces("x"),
  T: forces("tc"),
  X: forces("x"),
};

/** null: that is no command. An init script knows no abbreviation of `status`. */
export function parseAction(word: string, asScript: boolean): Action | null {
  if (Object.hasOwn(WORDS, word)) return WORDS[word] ?? null;
  const initial = word.slice(0, 1);
  if (asScript && initial === "s" && word !== "status") return null;
  return Object.hasOwn(INITIALS, initial) ? (INITIALS[initial] ?? null) : null;
}
