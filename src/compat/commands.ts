/** Commands for a service, as they are put into its drop box, and their answers. */
import { SVWAIT_SECONDS } from "../../config.ts";
import type { Alarm } from "../alarm.ts";
import { E, IN } from "../libc.ts";
import { type Command, loggedBy, loggerOf, type Request, SUPERVISOR } from "../rundir.ts";
import type { Place } from "./places.ts";

/** How often it is looked whether the supervisor lives that is to answer. */
const LOOK = 500;

/**
 * Asks for something and waits for the answer: so commands have an order. It comes at once, or
 * sysmgr is in trouble. 0, or minus the errno: ETIMEDOUT, or ENXIO when the supervisor has gone.
 */
export async function command(place: Place, asked: Command, alarm: Alarm): Promise<number> {
  return await answer(place, place.rundir.request(place.name, asked), alarm);
}

/** Asks a supervisor to end with its services; answered when it has begun. */
export async function shutdown(place: Place, alarm: Alarm): Promise<number> {
  return await answer(place, place.rundir.request(SUPERVISOR, "shutdown"), alarm);
}

async function answer({ rundir }: Place, request: Request | number, alarm: Alarm): Promise<number> {
  if (typeof request === "number") return request;
  const deadline = performance.now() + SVWAIT_SECONDS * 1000;
  const key = request.watchPath;
  alarm.watch(key, key, IN.ATTRIB);
  let code = 0;
  while (!request.isAnswered() && code === 0) {
    const now = performance.now();
    if (rundir.supervisor() === null) code = -E.NXIO;
    else if (now >= deadline) code = -E.TIMEDOUT;
    else await alarm.ring(Math.min(deadline, now + LOOK));
  }
  alarm.forget(key);
  request.close();
  return code;
}

/**
 * What makes runsv go: a supervisor that has no other service ends with this one; another one
 * keeps it down. A logger goes with its service only.
 */
export async function exit(place: Place, alarm: Alarm): Promise<number> {
  if (loggedBy(place.name) !== null) return 0;
  if (place.single) return await shutdown(place, alarm);
  return await command(place, "down", alarm);
}

/** True once exit() is done; a logger is told when its service is down. */
export async function hasExited(place: Place, alarm: Alarm): Promise<boolean> {
  const { rundir, name, single } = place;
  if (rundir.supervisor() === null) return true;
  if (single || loggedBy(name) !== null || rundir.status(name)?.state !== "down") return false;
  const logger = { ...place, name: loggerOf(name) };
  const status = rundir.status(logger.name);
  if (status !== null && status.wanted !== "down") await command(logger, "down", alarm);
  return status === null || status.state === "down";
}

/** True if its logger is to be told, too, when it exits. */
export function hasLogger({ rundir, name }: Place): boolean {
  return loggedBy(name) === null && rundir.hasStatus(loggerOf(name));
}
