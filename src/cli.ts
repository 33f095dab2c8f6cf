/** Command lines: what every program of ours does alike with its arguments. */
import minimist from "minimist";
import { VERSION } from "../config.ts";
import { parseCount, writeAll } from "./bytes.ts";
import * as libc from "./libc.ts";

/** Which options a program knows, by letter or long name; an alias is another name for one. */
export type OptionSpec = {
  readonly boolean?: readonly string[];
  readonly string?: readonly string[];
  readonly alias?: Readonly<Record<string, string>>;
  /** Options end at the first operand: for programs that take a command line. */
  readonly stopEarly?: boolean;
  /** What follows `--` is a command line, and no operands. */
  readonly command?: boolean;
};

export type Options = {
  has(name: string): boolean;
  /** The last value given; undefined when the option was not. */
  value(name: string): string | undefined;
  readonly operands: string[];
  /** What followed `--`, where that is a command line. */
  readonly command: readonly string[];
};

/** Wrong usage: main.ts says so in one line and exits 2. */
export class UsageError extends Error {}

/** Something could not be done: main.ts says so in one line and exits with the code. */
export class Failure extends Error {
  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
  }
}

/** Throws UsageError for an option that is unknown, or lacks its value, or has one too many. */
export function parseOptions(args: readonly string[], spec: OptionSpec): Options {
  const end = spec.command ? args.indexOf("--") : -1;
  const command = end < 0 ? [] : args.slice(end + 1);
  const parsed = minimist(normalised(end < 0 ? args : args.slice(0, end), spec), {
    boolean: [...(spec.boolean ?? [])],
    string: ["_", ...(spec.string ?? [])],
    alias: { ...spec.alias },
  });
  return {
    has: (name) => parsed[name] === true,
    value: (name) => [parsed[name]].flat().pop() as string | undefined,
    operands: parsed._,
    command,
  };
}

/**
 * What minimist would guess, getopt(3) knows: where a value begins, that `-q true` has an
 * operand, that there is no --no-q. So the words are told apart here: options first, each with
 * its value attached, then `--`, then operands.
 */
function normalised(args: readonly string[], spec: OptionSpec): string[] {
  const short = (names: readonly string[] = []) => names.filter((n) => n.length === 1);
  const long = (names: readonly string[] = []) => [
    ...names.filter((n) => n.length > 1),
    ...names.map((n) => spec.alias?.[n]).filter((n) => n !== undefined),
  ];
  const options: string[] = [];
  const rest = [...args];
  const valued = (name: string, value: string | undefined) => {
    if (!value) throw new UsageError(`option ${dashed(name)} needs a value`);
    options.push(`--${name}=${value}`);
  };
  const readLong = (name: string, value: string | undefined) => {
    if (long(spec.string).includes(name)) return valued(name, value ?? rest.shift());
    if (!long(spec.boolean).includes(name)) throw new UsageError(`unknown option --${name}`);
    if (value !== undefined) throw new UsageError(`option --${name} takes no value`);
    options.push(`--${name}`);
  };
  const readShort = (letters: string) => {
    for (const [i, letter] of [...letters].entries()) {
      if (short(spec.string).includes(letter)) {
        return valued(letter, letters.slice(i + 1) || rest.shift());
      }
      if (!short(spec.boolean).includes(letter)) throw new UsageError(`unknown option -${letter}`);
      options.push(`--${letter}`);
    }
  };
  const operands: string[] = [];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") {
      operands.push(...rest);
      break;
    }
    const [, name, value] = arg.match(/^--([^=]+)(?:=(.*))?$/s) ?? [];
    if (name !== undefined) readLong(name, value);
    else if (arg.startsWith("-") && arg !== "-") readShort(arg.slice(1));
    else {
      operands.push(arg);
      if (spec.stopEarly) operands.push(...rest.splice(0));
    }
  }
  return [...options, "--", ...operands];
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** To standard output. When nobody reads any more we end as SIGPIPE would have ended us. */
export function out(text: string): void {
  const code = writeAll(1, text);
  if (code === -libc.E.PIPE) process.exit(128 + libc.SIGNALS.PIPE);
  if (code < 0) throw new Failure(`cannot write standard output: ${libc.strerror(code)}`);
}

/** For who waits long before it writes again: ends us if nobody reads any more. */
export function endIfUnread(): void {
  if (libc.isBroken(1)) process.exit(128 + libc.SIGNALS.PIPE);
}

export function err(text: string): void {
  writeAll(2, text);
}

/** -h and -V, the same in every program; true when that was all there was to do. */
export function answeredHelp(options: Options, usage: string): boolean {
  if (options.has("h")) out(usage);
  else if (options.has("V")) out(`${usage.match(/^usage: (\S+)/)?.[1]} ${VERSION}\n`);
  else return false;
  return true;
}

/** A waiting time in whole seconds, as milliseconds. */
export function parseSeconds(text: string, what: string): number {
  const seconds = parseCount(text);
  if (seconds === null) throw new UsageError(`${what}: not a number of seconds: ${text}`);
  return seconds * 1000;
}

/** The one form of every error: `program: cannot VERB THING: reason`. */
export function complain(program: string, message: string): void {
  err(`${program}: ${message}\n`);
}
