/** The options of a job in pmtr.conf(5): what each makes of the words after its name. Pure. */
import { escapeBytes, parseCount } from "../../bytes.ts";
import type { Job } from "./config.ts";

/** What the parser has to know of the system. */
export type System = { readonly hasUser: (name: string) => boolean };

/** The limits that there are, by their letters in ulimit(1). */
export const ULIMIT_FLAGS = "cdefilmnqRrstuvx";

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** CPU_SETSIZE of sched_setaffinity(2). */
const CPUS = 1_024;

/** A job that is being read. */
export type Draft = { -readonly [K in keyof Job]: Job[K] };

/** What an option makes of the words after its name; returns what it expected instead. */
type Option = (words: readonly string[], job: Draft, system: System) => string | null;

/** A word in a message. */
export const show = (word: string) =>
  escapeBytes(word.length > 60 ? `${word.slice(0, 60)}...` : word);

/** For options of one word. */
function single(
  expected: string,
  take: (word: string, job: Draft, system: System) => boolean,
): Option {
  return ([word, ...more], job, system) => {
    if (word === undefined) return `expected ${expected}`;
    if (more.length > 0) return `expected ${expected}, and nothing after it (quotes hold blanks)`;
    return take(word, job, system) ? null : `expected ${expected}, not ${show(word)}`;
  };
}

/** For options that are complete without a word. */
function flag(key: "disable" | "wait" | "once"): Option {
  return (words, job) => {
    job[key] = true;
    return words.length === 0 ? null : "expected nothing after it";
  };
}

function file(key: "out" | "err" | "in"): Option {
  return single("a file", (word, job) => {
    job[key] = word;
    return word !== "";
  });
}

export const OPTIONS: Readonly<Record<string, Option>> = {
  name: single("a name", (word, job) => {
    job.name = word;
    return word !== "";
  }),
  cmd: (words, job) => {
    job.cmd = words;
    const [program] = words;
    if (program === undefined) return "expected a program by its absolute path";
    if (program.startsWith("/")) return null;
    return `expected a program by its absolute path, not ${show(program)}`;
  },
  dir: single("a directory by its absolute path", (word, job) => {
    job.dir = word;
    return word.startsWith("/");
  }),
  out: file("out"),
  err: file("err"),
  in: file("in"),
  env: single("NAME=VALUE", (word, job) => {
    job.env = [...job.env, word];
    return word.indexOf("=") > 0;
  }),
  user: single("the name of a user of this system", (word, job, system) => {
    job.user = word;
    return system.hasUser(word);
  }),
  ulimit: (words, job) => {
    const [flag = "", value = "", ...more] = words;
    const letter = flag.slice(1);
    if (words.length !== 2 || more.length > 0) return "expected a flag and a value, as in -n 30";
    if (!/^-.$/.test(flag) || !ULIMIT_FLAGS.includes(letter)) {
      return `expected a flag, -${[...ULIMIT_FLAGS].join(" -")}, not ${show(flag)}`;
    }
    const number = parseLimit(value);
    if (number === null) return `expected a number or infinity, not ${show(value)}`;
    job.ulimits = [...job.ulimits, { flag: letter, value: number }];
    return null;
  },
  nice: single("a number from -20 to 19", (word, job) => {
    const value = /^[+-]?\d{1,2}$/.test(word) ? Number(word) : Number.NaN;
    job.nice = value + 0;
    return value >= -20 && value <= 19;
  }),
  cpu: single("processors, as in 0,2-3 or 0x5", (word, job) => {
    job.cpu = word;
    return isCpuSet(word);
  }),
  bounce: ([every, interval, ...more], job) => {
    if (every !== "every" || interval === undefined || more.length > 0) {
      return "expected every and an interval, as in every 5m";
    }
    job.bounce = parseInterval(interval);
    return job.bounce === null
      ? `expected a number with a unit (s, m, h or d), not ${show(interval)}`
      : null;
  },
  order: single("a whole number", (word, job) => {
    job.order = /^[+-]?\d{1,9}$/.test(word) ? Number(word) + 0 : Number.NaN;
    return Number.isInteger(job.order);
  }),
  disable: flag("disable"),
  wait: flag("wait"),
  once: flag("once"),
};

/** Those that may stand in a job more than once. */
export const REPEATABLE: readonly string[] = ["env", "ulimit"];

function parseLimit(text: string): string | null {
  if (text === "infinity" || text === "unlimited") return "infinity";
  // RLIM_INFINITY is the largest number of 64 bits.
  const number = /^\d{1,20}$/.test(text) ? BigInt(text) : null;
  return number === null || number >= 2n ** 64n - 1n ? null : String(number);
}

/** In seconds; null for what is none, or none that can be waited for. */
function parseInterval(text: string): number | null {
  const [, digits = "", unit = ""] = text.match(/^(\d{1,6})([smhd])$/) ?? [];
  const seconds = (parseCount(digits) ?? 0) * (UNITS[unit] ?? 0);
  return seconds > 0 ? seconds : null;
}

function isCpuSet(text: string): boolean {
  if (/^0x[0-9a-fA-F]+$/.test(text))
    return text.length <= 2 + CPUS / 4 && /[1-9a-fA-F]/.test(text.slice(2));
  return text.split(",").every((range) => {
    const [, first = "", last = first] = range.match(/^(\d{1,4})(?:-(\d{1,4}))?$/) ?? [];
    return first !== "" && Number(first) <= Number(last) && Number(last) < CPUS;
  });
}
