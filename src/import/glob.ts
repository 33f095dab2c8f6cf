/** Patterns of file names, as Python's glob has them: * ? [abc] [!abc], and no others. */

import { Invalid } from "./remarks.ts";

/** What it takes to look at a file system. */
export type Files = {
  /** The names in a directory; none if there is no such directory. */
  readonly list: (directory: string) => readonly string[] | { readonly reason: string };
  /** Links that lead nowhere count, too. */
  readonly exists: (path: string) => boolean;
};

const MAGIC = /[*?[]/;

/** The paths that fit an absolute pattern, sorted. Throws Invalid for what cannot be read. */
export function glob(pattern: string, files: Files): string[] {
  let found = [""];
  for (const part of pattern.split("/").filter((part) => part !== "")) {
    found = found.flatMap((path) => {
      if (!MAGIC.test(part)) return [`${path}/${part}`];
      const names = files.list(path || "/");
      if ("reason" in names) throw new Invalid(`cannot read ${path || "/"}: ${names.reason}`);
      return names.filter(matcher(part)).map((name) => `${path}/${name}`);
    });
  }
  return found.filter(files.exists).sort();
}

/** A set of characters, in which a ] may come first; a wildcard; or what only regular expressions know. */
const TOKEN = /\[(?:!(\][^\]]*|[^\]]+)|(?!!)(\][^\]]*|[^\]]+))\]|[*?]|[\\^$.|+()[\]{}/]/g;

/** A star does not stand for a dot at the beginning. */
function matcher(part: string): (name: string) => boolean {
  const characters = (set: string) => set.replace(/[\\^\]]/g, "\\$&");
  const expression = part.replace(TOKEN, (token, others?: string, set?: string) => {
    if (others !== undefined) return `[^${characters(others)}]`;
    if (set !== undefined) return `[${characters(set)}]`;
    return { "*": ".*", "?": "." }[token] ?? `\\${token}`;
  });
  let fits: RegExp;
  try {
    fits = new RegExp(`^${expression}$`, "s");
  } catch {
    return () => false; // such as [z-a]: nothing is between them
  }
  return (name) => fits.test(name) && (!name.startsWith(".") || part.startsWith("."));
}
