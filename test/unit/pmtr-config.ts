/** Random configurations for pmtr, and what tests of its parser share. */
import { type Config, type Job, PLAIN_JOB } from "../../src/compat/pmtr/config.ts";
import { type System, ULIMIT_FLAGS } from "../../src/compat/pmtr/options.ts";
import { parseConfig } from "../../src/compat/pmtr/parser.ts";
import type { Random } from "./random.ts";

export const SYSTEM: System = { hasUser: (name) => ["root", "www-data", "me"].includes(name) };

export function parse(text: string) {
  return parseConfig(text, SYSTEM);
}

/** The problems of a text, a line each: `LINE: TEXT`. */
export function problemsOf(text: string): string[] {
  return parse(text).problems.map(({ line, text: what }) => `${line}: ${what}`);
}

const ODD = [
  "",
  " ",
  "#",
  "{",
  "}",
  '"',
  '\\"',
  "\\",
  "$HOME",
  "-x",
  "a\nb",
  "\t",
  "\r",
  "\xff\xfe",
  "'",
];

/** Any bytes that an argument can hold. */
export function anyWord(random: Random): string {
  let word = "";
  for (let n = random.below(5); n >= 0; n--) {
    const odd = random.pick(ODD as [string, ...string[]]);
    const piece = random.pick([odd, odd, random.bytes(3), "job", "name", "x"]);
    word += piece.replaceAll("\0", "0");
  }
  return word;
}

const nonEmpty = (word: string) => word || "x";

export function randomJob(random: Random, number: number): Job {
  const maybe = <T>(value: () => T): T | null => (random.chance(0.3) ? value() : null);
  const some = <T>(value: () => T): T[] => Array.from({ length: random.below(4) }, value);
  const file = () => nonEmpty(anyWord(random));
  return {
    ...PLAIN_JOB,
    name: `${anyWord(random)}${number}`,
    cmd: [`/${anyWord(random)}`, ...some(() => anyWord(random))],
    dir: maybe(() => `/${anyWord(random)}`),
    out: maybe(file),
    err: maybe(file),
    in: maybe(file),
    env: some(() => `A${anyWord(random).replaceAll("=", "")}=${anyWord(random)}`),
    user: maybe(() => random.pick(["root", "www-data", "me"])),
    ulimits: some(() => ({
      flag: ULIMIT_FLAGS.charAt(random.below(ULIMIT_FLAGS.length)),
      value: random.pick(["infinity", "0", String(random.below(1e9)), "18446744073709551614"]),
    })),
    nice: maybe(() => random.below(40) - 20),
    cpu: maybe(() => random.pick(["0", "0,2-3", "0x5", "0xFF", "1023"])),
    bounce: maybe(() => (1 + random.below(50)) * random.pick([1, 60, 3_600, 86_400])),
    depends: some(file),
    disable: random.chance(0.2),
    wait: random.chance(0.2),
    once: random.chance(0.2),
    order: random.chance(0.3) ? random.below(20) - 10 : 0,
  };
}

export function randomConfig(random: Random): Config {
  const jobs = Array.from({ length: random.below(6) }, (_, i) => randomJob(random, i));
  const host = random.pick(["127.0.0.1", "239.0.0.1", "log.example"]);
  const port = 1 + random.below(65_535);
  return {
    jobs,
    report: random.chance(0.5)
      ? { host, port, device: random.chance(0.5) ? random.pick(["eth0", "lo", "br-1.2"]) : null }
      : null,
    listen: random.chance(0.5) ? { host, port, device: null } : null,
  };
}
