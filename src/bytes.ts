/**
 * Byte strings: JavaScript strings in which each character is one byte (latin1).
 *
 * Names, arguments and the environment are bytes to the kernel. process.argv and process.env
 * spoil what is not UTF-8, so both are read from /proc, and everything is written as latin1.
 */
import * as libc from "./libc.ts";

function zeroTerminated(path: string): string[] {
  const text = libc.readFile(path);
  if (typeof text !== "string" || text === "") return [];
  return (text.endsWith("\0") ? text.slice(0, -1) : text).split("\0");
}

// Read once: later there may be no descriptor to read them with.
let argv: readonly string[] | null = null;
let environ: readonly string[] | null = null;

/** argv as the kernel has it: the name we were called by, then the arguments. */
export function commandLine(): readonly string[] {
  argv ??= zeroTerminated("/proc/self/cmdline");
  return argv;
}

/** The environment as the kernel gave it to us, one NAME=VALUE each, in order. */
export function environment(): readonly string[] {
  environ ??= zeroTerminated("/proc/self/environ");
  return environ;
}

/** The value of a variable in such a list; undefined when it is not there. */
export function getenv(name: string, env: readonly string[] = environment()): string | undefined {
  return env.find((v) => v.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Control bytes, DEL and backslash as \xNN: fit for a line of text or a terminal. */
export function escapeBytes(bytes: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return bytes.replace(/[\x00-\x1f\x7f\\]/g, (c) => {
    return `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

/** The inverse of escapeBytes. */
export function unescapeBytes(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** A word for sh: quoted where it has to be. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The part of a path after its last slash; trailing slashes do not count. */
export function basename(path: string): string {
  let end = path.length;
  while (path[end - 1] === "/") end--;
  return path.slice(path.lastIndexOf("/", end - 1) + 1, end);
}

/** The path of the directory that something is in. */
export function dirname(path: string): string {
  return path.replace(/\/+[^/]*\/*$/s, "") || "/";
}

/** An absolute path without dots and double slashes; a relative one begins where we are. */
export function absolutePath(path: string): string {
  const base = path.startsWith("/") ? "" : libc.readLink("/proc/self/cwd");
  const parts: string[] = [];
  for (const part of `${base}/${path}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** A whole number in decimal, or null: no sign, no blanks, no exponent. */
export function parseCount(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** What the kernel writes in one piece, also to a pipe (limits.h). */
const PIPE_BUF = 4096;

/** As many lines as are written in one piece; a longer one is cut. */
export function wholeLines(text: string): string {
  if (text.length <= PIPE_BUF) return text;
  const end = text.lastIndexOf("\n", PIPE_BUF - 1);
  return text.slice(0, end < 0 ? PIPE_BUF : end + 1);
}

/**
 * Writes all of it, waiting where the descriptor makes us wait; 0, or minus the errno. What others
 * write to the same place comes between two lines.
 */
export function writeAll(fd: number, text: string): number {
  for (let at = 0; at < text.length; ) {
    const n = libc.writeText(fd, wholeLines(at === 0 ? text : text.slice(at)));
    if (n === -libc.E.AGAIN) libc.waitWritable(fd);
    else if (n < 0 && n !== -libc.E.INTR) return n;
    else if (n > 0) at += n;
  }
  return 0;
}
