/** How the originals read their arguments. */
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
  readonly letters: readonly (readonly [letter: string, value: string])[];
  readonly rest: readonly string[];
};

/**
 * Options as getopt(3) reads them up to the first operand. As in the originals, any word that begins
 * with two dashes ends them. Throws WrongUsage.
 */
export function getopt(args: readonly string[], known: string): GivenOptions {
  const letters: [string, string][] = [];
  const rest = [...args];
  while (rest[0]?.startsWith("-") && rest[0] !== "-") {
    const word = rest.shift() ?? "";
    if (word.startsWith("--")) break;
    for (let i = 1; i < word.length; i++) {
      const letter = word[i] ?? "";
      const at = known.indexOf(letter);
      if (at < 0 || letter === ":") throw new WrongUsage(`illegal option -- ${letter}`);
      if (known[at + 1] !== ":") letters.push([letter, ""]);
      else {
        const value = word.slice(i + 1) || rest.shift();
        if (value === undefined) throw new WrongUsage(`option requires an argument -- ${letter}`);
        letters.push([letter, value]);
        break;
      }
    }
  }
  return { letters, rest };
}
