/** Reading pmtr.conf from the disk of this system. */
import { escapeBytes } from "../../bytes.ts";
import * as libc from "../../libc.ts";
import type { System } from "./options.ts";
import { type Parsed, parseConfig } from "./parser.ts";

export type Read =
  | (Parsed & { readonly text: string; readonly stamp: string })
  | { readonly reason: string };

/** Parses the file as it is now; or says why it cannot be read. */
export function readConfig(path: string): Read {
  const fd = libc.openat(libc.AT_FDCWD, path, libc.O.RDONLY | libc.O.NONBLOCK);
  if (fd < 0) return { reason: libc.strerror(fd) };
  const stat = libc.fstat(fd);
  const text = typeof stat !== "number" && stat.isFile ? libc.readAll(fd) : null;
  libc.close(fd);
  if (text === null || typeof stat === "number") return { reason: "not a file" };
  if (typeof text === "number") return { reason: libc.strerror(text) };
  return { ...parseConfig(text, thisSystem()), text, stamp: stampOf(stat) };
}

/** Which file it is, and in which state. */
export function stampOf({ dev, ino, size, modified }: libc.FileStat): string {
  return `${dev} ${ino} ${size} ${modified}`;
}

/** `FILE:LINE: what is wrong`, for each problem. */
export function describeProblems(path: string, { problems }: Parsed): string[] {
  return problems.map(({ line, text }) => `${escapeBytes(path)}:${line}: ${text}`);
}

/** The users of the system's own file, looked up once. */
function thisSystem(): System {
  let users: Set<string> | null = null;
  return {
    hasUser: (name) => {
      users ??= new Set(passwdLines().map((line) => line.split(":")[0] ?? ""));
      return name !== "" && users.has(name);
    },
  };
}

function passwdLines(): string[] {
  const text = libc.readFile("/etc/passwd");
  return typeof text === "string" ? text.split("\n") : [];
}
