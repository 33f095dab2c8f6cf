/** What stands beside `run` in a service directory, and what a service without it has. */
import { parseCount } from "./bytes.ts";
import { parseSignal } from "./status.ts";

/** Whether it is started again: in the words of its file, and the exit codes that it stays down after. */
export type Restart = { readonly text: string; readonly unless: readonly number[] | "any" };

const RESTARTS: readonly Restart[] = [
  { text: "always", unless: [] },
  { text: "on-failure", unless: [0] },
  { text: "never", unless: "any" },
];

/** Why something cannot be started. `passing`: that may be otherwise soon, though nobody changes it. */
export type Refusal = { readonly reason: string; readonly passing?: boolean };

export type Settings = {
  /** null: always. */
  readonly restart: Restart | null;
  /** In milliseconds, counted from the exit: so long a wait after lives shorter than `below`. */
  readonly delay: { readonly wait: number; readonly below: number } | null;
  readonly stopSignal: number | null;
  /** Milliseconds from the stop signal to KILL; null: never. */
  readonly stopTimeout: number | null;
  /** Where it writes a newline when it is ready. */
  readonly notificationFd: number | null;
  /** It has a `check`, a `finish`, and is normally down. */
  readonly check: boolean;
  readonly finish: boolean;
  readonly down: boolean;
  /** Its end is the end of everything. */
  readonly essential: boolean;
  /** The group that may control it: a name or a number. */
  readonly controlGroup: string | null;
  /** Why one of the files could not be read: what it says is not told here, and not known. */
  readonly unread: Refusal | null;
};

/** Those of a service that is a file. */
export const PLAIN: Settings = {
  restart: null,
  delay: null,
  stopSignal: null,
  stopTimeout: null,
  notificationFd: null,
  check: false,
  finish: false,
  down: false,
  essential: false,
  controlGroup: null,
  unread: null,
};

/** Descriptors 0 to 2 have their meaning; more than this nobody has. */
const FD_MOST = 1_023;

/**
 * `read` gives the content of a file in the directory (null: not there), or why it cannot be read;
 * `runs` whether there is such a program. What a file says wrongly is told, and counts as not said.
 */
export function parseSettings(
  read: (file: string) => string | null | Refusal,
  runs: (file: string) => boolean,
  complain: (problem: string) => void,
): Settings {
  let unread: Refusal | null = null;
  const textOf = (file: string): string | null => {
    const found = read(file);
    if (found === null || typeof found === "string") return found;
    unread ??= found;
    return null;
  };
  /** The one value in a file; null also for what is no value. */
  const value = <T>(file: string, parse: (text: string) => T | null): T | null => {
    const text = textOf(file)?.trim() ?? null;
    const parsed = text === null ? null : parse(text);
    if (text !== null && parsed === null) complain(`${file}: not understood: ${text.slice(0, 80)}`);
    return parsed;
  };
  return {
    restart: value("restart", parseRestart),
    delay: value("restart-delay", parseDelay),
    stopSignal: value("stop-signal", parseSignal),
    stopTimeout: value("stop-timeout", parseMilliseconds),
    notificationFd: value("notification-fd", parseDescriptor),
    check: runs("check"),
    finish: runs("finish"),
    down: textOf("down") !== null,
    essential: textOf("essential") !== null,
    controlGroup: value("control-group", (text) => (/^[\w.-]+$/.test(text) ? text : null)),
    // The last: by then all were read.
    unread,
  };
}

/** always, on-failure, never, or: unless CODE... */
function parseRestart(text: string): Restart | null {
  const [word, ...codes] = text.split(/[ \t]+/);
  if (word !== "unless") return RESTARTS.find((restart) => restart.text === text) ?? null;
  const unless = codes.map(parseCount).filter((code) => code !== null);
  const valid = unless.length === codes.length && unless.every((code) => code <= 255);
  return valid && codes.length > 0 ? { text, unless } : null;
}

/** SECONDS, with decimals. */
function parseMilliseconds(text: string): number | null {
  return /^\d{1,8}(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : null;
}

/** SECONDS [IF-UP-LESS-THAN-SECONDS] */
function parseDelay(text: string): Settings["delay"] {
  const [first = "", second, ...more] = text.split(/[ \t]+/);
  const wait = parseMilliseconds(first);
  const below = second === undefined ? Number.POSITIVE_INFINITY : parseMilliseconds(second);
  return wait === null || below === null || more.length > 0 ? null : { wait, below };
}

function parseDescriptor(text: string): number | null {
  const fd = parseCount(text);
  return fd !== null && fd > 2 && fd <= FD_MOST ? fd : null;
}
