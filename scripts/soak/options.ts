// The command line of scripts/soak.ts. Its usage is at the head of that file.
import minimist from "minimist";

export interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly services: number;
  readonly clients: number;
  readonly binary: string;
}

/** Wrong usage: said on stderr, exit 2. */
export class UsageError extends Error {}

const NAMES = ["minutes", "seed", "services", "clients", "binary"];

/** Reads the arguments after the script's name. Throws UsageError. */
export function parse(argv: string[], binary: string): Options {
  const given = minimist(argv, {
    string: NAMES,
    unknown: (argument) => fail(`unknown argument ${argument}`),
  });
  const text = (name: string): string | undefined => {
    const value: unknown = given[name];
    return value === undefined || typeof value === "string" ? value : fail(`--${name} given twice`);
  };
  const number = (name: string, pattern: RegExp, otherwise: number): number => {
    const value = text(name) ?? String(otherwise);
    return pattern.test(value) ? Number(value) : fail(`--${name}: not a number: ${value}`);
  };
  return {
    minutes: number("minutes", /^(\d*[1-9]\d*(\.\d+)?|0?\.\d*[1-9]\d*)$/, 5),
    seed: number("seed", /^\d{1,9}$/, Math.floor(Math.random() * 1e9)),
    services: number("services", /^[1-9]\d{0,3}$/, 200),
    clients: number("clients", /^[1-9]\d{0,2}$/, 20),
    binary: text("binary") ?? binary,
  };
}

function fail(message: string): never {
  throw new UsageError(message);
}
