/**
 * How the originals read their arguments. minimist cannot: it tells neither in which order options
 * were given, nor after which of them one is wrong, which is what their messages and exits go by.
 */
import { out } from "../cli.ts";

/** Says how it is used if that is all that was asked; the originals know no options. */
export function askedForHelp(args: readonly string[], usage: string): boolean {
  const asked = args.length === 1 && (args[0] === "-h" || args[0] === "--help");
  if (asked) out(usage);
  return asked;
}

/** The number that a text begins with; 0 if there is none. */
export function leadingNumber(text: string): number {
  return Number(text.match(/^\d+/)?.[0] ?? 0);
}

/** Wrong usage, perhaps with what getopt(3) says of it. */
export class WrongUsage extends Error {}

export type GivenOptions = {
  /** Letters, or long names, each with its value; "" for one that takes none. */
  readonly options: readonly (readonly [name: string, value: string])[];
  readonly rest: readonly string[];
  /** What is wrong with the option after these, if anything is; then there is no rest. */
  readonly wrong: string | null;
};

/**
 * Options as the originals' getopt reads them, up to the first operand. A word that begins with
 * two dashes ends them, unless there are long options: their names, and whether they take a value.
 */
export function getopt(
  args: readonly string[],
  known: string,
  long?: ReadonlyMap<string, boolean>,
): GivenOptions {
  const options: [string, string][] = [];
  const rest = [...args];
  const take = (name: string, valued: boolean, attached: string | undefined) => {
    const value = valued ? (attached ?? rest.shift()) : "";
    if (value === undefined) throw new WrongUsage(`option requires an argument -- ${name}`);
    options.push([name, value]);
  };
  const readLong = (word: string) => {
    const [, name = "", attached] = word.match(/^--([^=]*)(?:=(.*))?$/s) ?? [];
    const valued = long?.get(name);
    if (valued === undefined || (!valued && attached !== undefined)) {
      throw new WrongUsage(`illegal option -- ${name}`);
    }
    take(name, valued, attached);
  };
  const readShort = (word: string) => {
    for (let i = 1; i < word.length; i++) {
      const letter = word[i] ?? "";
      const at = letter === ":" ? -1 : known.indexOf(letter);
      if (at < 0) throw new WrongUsage(`illegal option -- ${letter}`);
      const valued = known[at + 1] === ":";
      take(letter, valued, word.slice(i + 1) || undefined);
      if (valued) return;
    }
  };
  try {
    while (rest[0]?.startsWith("-") && rest[0] !== "-") {
      const word = rest.shift() ?? "";
      if (!word.startsWith("--")) readShort(word);
      else if (long && word !== "--") readLong(word);
      else break;
    }
  } catch (error) {
    if (!(error instanceof WrongUsage)) throw error;
    return { options, rest: [], wrong: error.message };
  }
  return { options, rest, wrong: null };
}
