/** The command line of chpst: what its options ask for. */
import { parseCount } from "../bytes.ts";
import { SIGNALS } from "../libc.ts";
import { WrongUsage } from "../log/arguments.ts";
import type { Limit } from "./calls.ts";
import { MEMORY, RESOURCE, scanUnsigned, UNLIMITED } from "./limits.ts";

/** runit's. */
export const LETTERS = "u:U:b:e:m:d:o:p:f:c:r:t:/:n:l:L:vP012V";

/** Ours, and whether they take a value. */
export const LONG: ReadonlyMap<string, boolean> = new Map([
  ["chdir", true],
  ["clear-env", false],
  ["cpu", true],
  ["env", true],
  ["max-runtime", true],
  ["new-session", false],
  ["nice", true],
  ["no-new-privs", false],
  ["parent-death-signal", true],
  ["stderr", true],
  ["stdin", true],
  ["stdout", true],
  ["ulimit", true],
  ["umask", true],
  ["user", true],
]);

export type Settings = {
  verbose: boolean;
  /** A session of its own: if it can be had, or by all means. */
  session: "no" | "try" | "must";
  clearEnvironment: boolean;
  directory: string | null;
  variables: string[];
  umask: number | null;
  root: string | null;
  chdir: string | null;
  /** By the number of the descriptor. */
  files: Map<number, string>;
  nice: number;
  processors: readonly number[] | null;
  environmentUser: string | null;
  limits: Map<number, Limit>;
  user: string | null;
  lock: { readonly file: string; readonly wait: boolean } | null;
  close: Set<number>;
  /** Soft limits; null is as high as the hard one. */
  soft: Map<number, bigint | null>;
  parentDeathSignal: number | null;
  maxRuntime: number | null;
  noNewPrivs: boolean;
  argv0: string | null;
};

export function noSettings(): Settings {
  return {
    verbose: false,
    session: "no",
    clearEnvironment: false,
    directory: null,
    variables: [],
    umask: null,
    root: null,
    chdir: null,
    files: new Map(),
    nice: 0,
    processors: null,
    environmentUser: null,
    limits: new Map(),
    user: null,
    lock: null,
    close: new Set(),
    soft: new Map(),
    parentDeathSignal: null,
    maxRuntime: null,
    noNewPrivs: false,
    argv0: null,
  };
}

/** Resources that an option with a letter sets the soft limit of. */
const SOFT: Readonly<Record<string, readonly number[]>> = {
  m: MEMORY,
  d: [RESOURCE.DATA],
  o: [RESOURCE.NOFILE],
  p: [RESOURCE.NPROC],
  f: [RESOURCE.FSIZE],
  c: [RESOURCE.CORE],
  r: [RESOURCE.RSS],
  t: [RESOURCE.CPU],
};

const STREAMS: Readonly<Record<string, number>> = { stdin: 0, stdout: 1, stderr: 2 };

/** Notes what an option asks for. Throws WrongUsage. */
export function note(s: Settings, name: string, value: string): void {
  if (SOFT[name]) return noteSoftLimit(s, SOFT[name], value);
  const stream = STREAMS[name];
  if (stream !== undefined) {
    s.files.set(stream, value);
    return;
  }
  switch (name) {
    case "v":
      s.verbose = true;
      break;
    case "P":
      if (s.session === "no") s.session = "try";
      break;
    case "0":
    case "1":
    case "2":
      s.close.add(Number(name));
      break;
    case "u":
    case "user":
      s.user = value;
      break;
    case "U":
      s.environmentUser = value;
      break;
    case "b":
      s.argv0 = value;
      break;
    case "e":
      s.directory = value;
      break;
    case "/":
      s.root = value;
      break;
    case "n":
    case "nice":
      s.nice = niceIncrement(value);
      break;
    case "l":
    case "L":
      if (s.lock) throw new WrongUsage();
      s.lock = { file: value, wait: name === "l" };
      break;
    default:
      noteLong(s, name, value);
  }
}

function noteLong(s: Settings, name: string, value: string): void {
  switch (name) {
    case "chdir":
      s.chdir = value;
      break;
    case "clear-env":
      s.clearEnvironment = true;
      break;
    case "cpu":
      s.processors = processors(value);
      break;
    case "env":
      if (!/^[^=]+=/.test(value)) throw new WrongUsage(`--env: not NAME=VALUE: ${value}`);
      s.variables.push(value);
      break;
    case "max-runtime":
      s.maxRuntime = seconds(value);
      break;
    case "new-session":
      s.session = "must";
      break;
    case "no-new-privs":
      s.noNewPrivs = true;
      break;
    case "parent-death-signal":
      s.parentDeathSignal = signal(value);
      break;
    case "ulimit":
      noteLimit(s, value);
      break;
    case "umask":
      if (!/^[0-7]{1,4}$/.test(value)) throw new WrongUsage(`--umask: not octal: ${value}`);
      s.umask = Number.parseInt(value, 8) & 0o777;
      break;
  }
}

function noteSoftLimit(s: Settings, resources: readonly number[], value: string): void {
  const number = scanUnsigned(value);
  if (number === null) throw new WrongUsage();
  // The original keeps them in a long: -1 is as high as can be, less is not given at all.
  const long = BigInt.asIntN(64, number);
  for (const resource of resources) {
    if (long >= -1n) s.soft.set(resource, long < 0n ? null : long);
    else s.soft.delete(resource);
  }
}

function niceIncrement(value: string): number {
  const number = scanUnsigned(value.replace(/^[-+]/, ""));
  if (number === null) throw new WrongUsage();
  const increment = Number(BigInt.asIntN(32, number));
  return value.startsWith("-") ? -increment : increment;
}

/** The limits that ulimit of bash has letters for, and what it counts them in. */
const ULIMITS: Readonly<Record<string, readonly [resource: number, unit: bigint]>> = {
  R: [RESOURCE.RTTIME, 1n],
  c: [RESOURCE.CORE, 1024n],
  d: [RESOURCE.DATA, 1024n],
  e: [RESOURCE.NICE, 1n],
  f: [RESOURCE.FSIZE, 1024n],
  i: [RESOURCE.SIGPENDING, 1n],
  l: [RESOURCE.MEMLOCK, 1024n],
  m: [RESOURCE.RSS, 1024n],
  n: [RESOURCE.NOFILE, 1n],
  q: [RESOURCE.MSGQUEUE, 1n],
  r: [RESOURCE.RTPRIO, 1n],
  s: [RESOURCE.STACK, 1024n],
  t: [RESOURCE.CPU, 1n],
  u: [RESOURCE.NPROC, 1n],
  v: [RESOURCE.AS, 1024n],
  x: [RESOURCE.LOCKS, 1n],
};

/** FLAG=SOFT[:HARD]; with a B each counts in what the kernel does: bytes, not bash's KiB. */
function noteLimit(s: Settings, value: string): void {
  const wrong = new WrongUsage(`--ulimit: not FLAG=SOFT[:HARD]: ${value}`);
  const [, flag = "", soft = "", hard = soft] = value.match(/^-?(\w)=(\w+)(?::(\w+))?$/) ?? [];
  const [resource, unit] = ULIMITS[flag] ?? [];
  if (resource === undefined || unit === undefined) throw wrong;
  const scaled = (text: string) => {
    if (text === "infinity" || text === "unlimited") return UNLIMITED;
    const [, digits = "", raw] = text.match(/^(\d+)(B?)$/) ?? [];
    const number = digits === "" ? UNLIMITED : BigInt(digits) * (raw ? 1n : unit);
    if (number >= UNLIMITED) throw wrong;
    return number;
  };
  const limit = { soft: scaled(soft), hard: scaled(hard) };
  if (limit.soft > limit.hard) throw wrong;
  s.limits.set(resource, limit);
}

const MOST_PROCESSORS = 8_192;

/** 0,2-3 or a mask, 0x5. */
function processors(text: string): readonly number[] {
  const wrong = new WrongUsage(`--cpu: not a list of processors: ${text}`);
  const found = /^0x[0-9a-f]+$/i.test(text) ? inMask(BigInt(text)) : inList(text);
  if (!found || found.length === 0 || found.some((n) => n >= MOST_PROCESSORS)) throw wrong;
  return found;
}

function inMask(mask: bigint): number[] {
  const digits = [...mask.toString(2)].reverse();
  return digits.flatMap((digit, n) => (digit === "1" ? [n] : []));
}

function inList(text: string): number[] | null {
  const found: number[] = [];
  for (const part of text.split(",")) {
    const [, from, to = from] = part.match(/^(\d{1,4})(?:-(\d{1,4}))?$/) ?? [];
    if (from === undefined || Number(from) > Number(to)) return null;
    for (let n = Number(from); n <= Number(to); n++) found.push(n);
  }
  return found;
}

/** By name, with or without SIG, or number. */
function signal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, "");
  const number = Object.hasOwn(SIGNALS, name)
    ? SIGNALS[name as keyof typeof SIGNALS]
    : (parseCount(text) ?? 0);
  if (number < 1 || number > 64) {
    throw new WrongUsage(`--parent-death-signal: not a signal: ${text}`);
  }
  return number;
}

function seconds(text: string): number {
  const number = parseCount(text);
  if (number === null || number < 1 || number > 0xffffffff) {
    throw new WrongUsage(`--max-runtime: not a number of seconds: ${text}`);
  }
  return number;
}
