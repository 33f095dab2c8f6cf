/**
 * Names of jobs are any text; names of services are names of files, and stand in messages and
 * shell commands: what is neither letter, digit nor one of `_.@+=,-` becomes %XX.
 */
import { isServiceName } from "../../rundir.ts";
import { digestOfText } from "./digest.ts";

/** NAME_MAX of every file system that we know, less what staging adds. */
const LONGEST = 240;

/** Bytes from 0x80 on are kept, so that UTF-8 stays readable. */
const ODD = /[^\w.@+=,\x80-\xff-]/g;

const hex = (c: string) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;

/** Different for different names; a service's name whatever the name is. */
export function encodeName(name: string): string {
  const encoded = name.replace(ODD, hex).replace(/^[.-]/, hex);
  const safe = isServiceName(encoded) ? encoded : `%${encoded}`;
  if (safe.length <= LONGEST) return safe;
  // No other name looks so: %~ is the encoding of nothing.
  return `${safe.slice(0, LONGEST - 70)}%~${digestOfText(name)}`;
}
