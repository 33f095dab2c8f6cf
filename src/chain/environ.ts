/** Environments as lists of NAME=VALUE, changed as daemontools and runit change them. */
import * as libc from "../libc.ts";
import { AT_FDCWD, O } from "../libc.ts";
import { chdir, fchdir } from "./calls.ts";

/** A change: NAME=VALUE, or NAME alone for a variable that is to go. */
export type Change = string;

/**
 * The order is the originals': the last variable takes the place of the one that goes, and the
 * new one comes last.
 */
export function change(env: string[], change: Change): void {
  const name = change.split("=", 1)[0] ?? "";
  const at = env.findIndex((variable) => variable.startsWith(`${name}=`));
  const last = at < 0 ? undefined : env.pop();
  if (last !== undefined && at < env.length) env[at] = last;
  if (change.includes("=")) env.push(change);
}

/** Where reading a directory can fail. */
export type Stage = "start" | "enter" | "open" | "read" | "return";
export type Trouble = { readonly stage: Stage; readonly thing: string; readonly code: number };

/** What a directory says: a file of it is a variable. `skip` may excuse what cannot be read. */
export function readEnvironmentDirectory(
  directory: string,
  skip: (trouble: Trouble) => boolean,
): Change[] | Trouble {
  const start = libc.openat(AT_FDCWD, ".", O.RDONLY);
  if (start < 0) return { stage: "start", thing: "", code: start };
  const entered = chdir(directory);
  const found: Change[] | Trouble =
    entered < 0 ? { stage: "enter", thing: directory, code: entered } : readHere(directory, skip);
  const code = fchdir(start);
  libc.close(start);
  return code < 0 ? { stage: "return", thing: "", code } : found;
}

function readHere(directory: string, skip: (trouble: Trouble) => boolean): Change[] | Trouble {
  const names = libc.readDirectory(".");
  if (typeof names === "number") return { stage: "open", thing: directory, code: names };
  const changes: Change[] = [];
  for (const name of names) {
    if (name.startsWith(".")) continue;
    const text = readValue(name);
    if (typeof text === "string") changes.push(text === "" ? name : `${name}=${value(text)}`);
    else {
      const trouble: Trouble = { stage: "read", thing: `${directory}/${name}`, code: text };
      if (!skip(trouble)) return trouble;
    }
  }
  return changes;
}

/** A FIFO does not make us wait; a link that leads nowhere is an empty file. */
function readValue(name: string): string | number {
  const fd = libc.openat(AT_FDCWD, name, O.RDONLY | O.NONBLOCK);
  if (fd < 0) return fd === -libc.E.NOENT ? "" : fd;
  const text = libc.readAll(fd);
  libc.close(fd);
  return text;
}

/** The first line, without the blanks at its end; NULs stand for newlines. */
function value(text: string): string {
  const [line = ""] = text.split("\n", 1);
  return line.replace(/[ \t]+$/, "").replaceAll("\0", "\n");
}
