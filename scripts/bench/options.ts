// The command line of scripts/bench.ts. Its usage is at the head of that file.
import minimist from "minimist";
import { GROUPS, type Group } from "./peer.ts";

export interface Options {
  /** Names of the contestants; undefined: all that are installed. */
  readonly peers: readonly string[] | undefined;
  readonly n: readonly number[];
  readonly only: readonly Group[];
  readonly quick: boolean;
  readonly rounds: number | undefined;
  /** Seconds. */
  readonly idle: number;
  readonly many: number | undefined;
  readonly out: string;
  /** A bench.json to draw, instead of measuring. */
  readonly draw: string | undefined;
}

/** Wrong usage: said on stderr, exit 2. */
export class UsageError extends Error {}

const STRINGS = ["peers", "n", "only", "rounds", "idle", "many", "out", "draw"];

/** Reads the arguments after the script's name. Throws UsageError. */
export function parse(argv: string[], peers: readonly string[]): Options {
  const given = minimist(argv, {
    string: STRINGS,
    boolean: ["quick"],
    unknown: (argument) => fail(`unknown argument ${argument}`),
  });
  const text = (name: string): string | undefined => {
    const value: unknown = given[name];
    return value === undefined || typeof value === "string" ? value : fail(`--${name} given twice`);
  };
  const list = (name: string): string[] | undefined => text(name)?.split(",");
  const number = (name: string): number | undefined => {
    const value = text(name);
    return value === undefined ? undefined : toNumber(name, value);
  };
  const quick = given.quick === true;
  const partial =
    quick || ["peers", "n", "only", "rounds"].some((name) => text(name) !== undefined);
  return {
    peers: list("peers")?.map((name) => oneOf("peers", peers, name)),
    n: (list("n") ?? ["1", "100", "1000"]).map((value) => toNumber("n", value)),
    only: list("only")?.map((name) => oneOf("only", GROUPS, name)) ?? GROUPS,
    quick,
    rounds: number("rounds"),
    idle: number("idle") ?? (quick ? 5 : 20),
    many: number("many"),
    out: text("out") ?? (partial ? "build/bench" : "docs"),
    draw: text("draw"),
  };
}

function toNumber(name: string, value: string): number {
  return /^[1-9]\d*$/.test(value) ? Number(value) : fail(`--${name}: not a number: ${value}`);
}

function oneOf<T extends string>(name: string, known: readonly T[], value: string): T {
  return (
    known.find((each) => each === value) ??
    fail(`--${name}: ${value} is none of ${known.join(", ")}`)
  );
}

function fail(message: string): never {
  throw new UsageError(message);
}
