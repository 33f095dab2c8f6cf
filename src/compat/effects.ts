/** How sv(8) tells a status, and when a command has taken effect. */
import { err } from "../cli.ts";
import { reason } from "../log/words.ts";
import type { Status } from "../status.ts";
import { passesCheck } from "./check.ts";
import { conditionOf, isNormallyUp } from "./condition.ts";

/** A service as it was given, and the path that it stands for. */
export type Named = { readonly label: string; readonly path: string };

/** `run: web: (pid 812) 5s, normally down`; nothing, after it was said why. */
export function describe({ path, label }: Named, name: string, status: Status): string {
  const { state, pid, seconds, paused, stopping } = conditionOf(status);
  const normallyUp = isNormallyUp(path);
  if (typeof normallyUp === "number") {
    err(`warning: unable to stat ${label}/down: ${reason(normallyUp)}\n`);
    return "";
  }
  const wantsUp = status.wanted === "up";
  let text = `${state}: ${name}: ${state === "down" ? "" : `(pid ${pid}) `}${seconds}s`;
  if (pid > 0 && !normallyUp) text += ", normally down";
  if (pid === 0 && normallyUp) text += ", normally up";
  if (paused) text += ", paused";
  if (pid === 0 && wantsUp) text += ", want up";
  if (pid > 0 && !wantsUp) text += ", want down";
  if (stopping) text += ", got TERM";
  return text;
}

/** Whether a command has taken effect. */
export function isReached(letter: string, service: Named, before: Status, status: Status): boolean {
  const { state, pid, paused, stopping } = conditionOf(status);
  const { path, label } = service;
  const isNew = status.runs > before.runs;
  const wantsUp = status.wanted === "up";
  const runs = state === "run" && !stopping;
  switch (letter) {
    case "u":
      return runs && passesCheck(path, label);
    case "d":
      return state === "down";
    case "C":
      return pid === 0 || passesCheck(path, label);
    case "t":
    case "k":
      return (pid === 0 && !wantsUp) || (runs && isNew && passesCheck(path, label));
    case "o":
      return !wantsUp && (pid > 0 || isNew);
    case "p":
      return pid === 0 || paused;
    case "c":
      return !paused;
    default:
      return true;
  }
}
