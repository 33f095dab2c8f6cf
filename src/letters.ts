/** The letters of runsv and supervise, as commands for the drop box. */
import type { Command } from "./rundir.ts";

export const LETTERS: Readonly<Record<string, Command>> = {
  u: "up",
  d: "down",
  o: "once",
  p: "pause",
  c: "cont",
  h: "hup",
  a: "alarm",
  i: "int",
  q: "quit",
  1: "usr1",
  2: "usr2",
  t: "term",
  k: "kill",
};
