/**
 * The process that becomes a script. It takes the client's streams itself: the daemon never has
 * them, as to close what somebody else has opened may wait for ever.
 */
import { ACTION_PATH, ACTION_SHELL } from "../../../config.ts";
import { chdir } from "../../chain/calls.ts";
import { chain, failed, fatal, type State, type Target } from "../../chain/chain.ts";
import { RESOURCE } from "../../chain/limits.ts";
import { becomeUser } from "../../chain/users.ts";
import { putFile, removeFile } from "../../files.ts";
import * as libc from "../../libc.ts";
import { IN } from "../../libc.ts";
import { parseStatus } from "../../status.ts";
import type { Ids } from "./config.ts";
import { type Order, parseOrder } from "./order.ts";
import { type Place, placeFor } from "./place.ts";
import { openStreams } from "./streams.ts";

/** First arguments of a procmgr that is to become a script; what follows says which. */
export const LAUNCH = {
  /** SOCKET SERVICE: the program, as its order says. */
  program: "--launch-program",
  /** SOCKET SERVICE: the script that stops it. */
  stop: "--launch-stop",
  /** SOCKET ORDER: what that order says. */
  script: "--launch-script",
} as const;

const MODES: readonly string[] = Object.values(LAUNCH);

export function isLaunch(word: string | undefined): boolean {
  return word !== undefined && MODES.includes(word);
}

/** Where it is told why a program could not be started. */
export function failurePath(place: Place, service: string): string {
  return `${place.orders}/${service}.failed`;
}

export function main(args: string[]): Promise<number> {
  return chain({ usage: "", step }, args);
}

function step([mode, socket = "", name = ""]: readonly string[], state: State): Target {
  const place = placeFor(socket);
  const order = `${place.orders}/${name}`;
  if (mode === LAUNCH.script) return become(readOrder(order), order, state);
  if (mode === LAUNCH.stop) return become(stopOrder(place, name), null, state);
  awaitRecord(place, name);
  try {
    const once = parseOrder(libc.readFile(order));
    return become(once ?? readOrder(`${place.sysdir}/${name}/start`), order, state);
  } catch (error) {
    if (error instanceof Error) putFile(failurePath(place, name), error.message);
    throw error;
  }
}

function readOrder(path: string): Order {
  const text = libc.readFile(path);
  const order = parseOrder(text);
  if (order) return order;
  throw fatal(
    "procmgr",
    `cannot read ${path}: ${typeof text === "number" ? libc.strerror(text) : "empty"}`,
  );
}

function stopOrder(place: Place, service: string): Order {
  const pid = libc.readFile(`${place.rundir}/${service}/pid`);
  const order = readOrder(`${place.sysdir}/${service}/stop`);
  return { ...order, pid: typeof pid === "string" ? pid.trim() : "" };
}

/**
 * Waits until it is written down that we are the program. A supervisor that finds no record of what
 * its predecessor has started looks for our environment, which we are about to lose.
 */
function awaitRecord({ rundir }: Place, service: string): void {
  const directory = `${rundir}/${service}`;
  const watch = libc.inotifyInit();
  libc.inotifyAdd(watch, directory, IN.MOVED_TO);
  const isRecorded = () => {
    const text = libc.readFile(`${directory}/status`);
    return typeof text === "string" && parseStatus(text)?.process?.pid === process.pid;
  };
  while (!isRecorded()) {
    libc.waitAny([{ fd: watch }], POLL);
    libc.readText(watch);
  }
  libc.close(watch);
}

/** In case an event was lost, or there are none. */
const POLL = 100;

/** `done`: a file whose removal tells that all went well. */
function become(order: Order, done: string | null, state: State): Target {
  const { program, action, command, args, pid, cwd, nofile, caller } = order;
  if (caller) {
    for (const [number, fd] of openStreams(caller).entries()) state.descriptors.replace(number, fd);
  }
  const code = chdir(cwd);
  if (code < 0) throw failed("procmgr", `cannot change directory to ${cwd}`, code);
  state.variables = [
    `PATH=${ACTION_PATH}`,
    `SHELL=${ACTION_SHELL}`,
    `PROGNAME=${program}`,
    `ACTION=${action}`,
    `PID=${pid}`,
  ];
  state.limits.setSoft(RESOURCE.NOFILE, BigInt(nofile));
  // As somebody else we could not remove it any more.
  if (done !== null) removeFile(done);
  changeUser(order.runAs, state);
  const argv = [ACTION_SHELL, "-c", command, ...args];
  return { file: ACTION_SHELL, argv, trouble: `procmgr: fatal: cannot run ${ACTION_SHELL}` };
}

/** With that group and no other. */
function changeUser({ uid, gid }: Ids, state: State): void {
  if (uid === null && gid === null) return;
  const ids = {
    uid: uid ?? process.geteuid?.() ?? 0,
    gids: [gid ?? process.getegid?.() ?? 0],
  };
  becomeUser("procmgr", ids, state.limits);
}
