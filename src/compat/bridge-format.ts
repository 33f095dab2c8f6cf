/**
 * What runsv and supervise write into SERVICE/supervise: a service's status in their forms. Pure.
 *
 * The binary form is a TAI64N label (12 bytes, TAI taken to be UTC + 10 s), the pid (4 bytes, the
 * lowest first), and one byte each for "paused" and for what is wanted; runsv adds "got TERM" and
 * the state.
 */
import type { Status } from "../status.ts";

/** Whose form it is: runsv's or supervise's. */
export type Format = "runit" | "daemontools";

/** What the originals know of a service, and what our status file does not tell. */
export type View = {
  readonly state: "down" | "run" | "finish";
  /** Of ./run, or of ./finish; 0: neither runs. */
  readonly pid: number;
  /** When that began, in milliseconds since the epoch. */
  readonly since: number;
  readonly wanted: "up" | "once" | "down" | "exit";
  readonly paused: boolean;
  readonly gotTerm: boolean;
  /** A command is on its way: what is wanted is not known, and sv must not think that it were. */
  readonly asked: boolean;
};

const STATES = { down: 0, run: 1, finish: 2 } as const;
const TAI_OFFSET = 10;

/** Their state, and the process that they mean by it: a name for this part of a service's life. */
export function phase({ process, finish, state }: Status): Pick<View, "state" | "pid"> {
  if (process) return { state: "run", pid: process.pid };
  return state === "finishing"
    ? { state: "finish", pid: finish?.pid ?? 0 }
    : { state: "down", pid: 0 };
}

/** supervise/pid: empty while there is no process. */
export function pidText({ pid }: View): string {
  return pid === 0 ? "" : `${pid}\n`;
}

/** supervise/stat: "run", "run, want down", "down" and the like. */
export function statText({ state, wanted, paused, gotTerm }: View): string {
  let text: string = state;
  if (paused) text += ", paused";
  if (gotTerm) text += ", got TERM";
  // To be started once is to be down afterwards.
  if (state !== "down" && wanted !== "up")
    text += wanted === "exit" ? ", want exit" : ", want down";
  return `${text}\n`;
}

/** supervise/status, as a byte string: 20 bytes from runsv, 18 from supervise. */
export function statusBytes(view: View, format: Format): string {
  const bytes = Buffer.alloc(format === "runit" ? 20 : 18);
  const tai = Math.floor(view.since / 1000) + TAI_OFFSET;
  bytes.writeUInt32BE(2 ** 30 + Math.floor(tai / 2 ** 32), 0);
  bytes.writeUInt32BE(tai % 2 ** 32, 4);
  bytes.writeUInt32BE(Math.floor(view.since % 1000) * 1_000_000, 8);
  bytes[16] = view.paused ? 1 : 0;
  if (format === "runit") {
    bytes.writeUInt32LE(view.pid, 12);
    bytes.write(view.wanted === "up" ? "u" : "d", 17);
    bytes[18] = view.gotTerm ? 1 : 0;
    bytes[19] = STATES[view.state];
  } else {
    // supervise knows no finish.
    bytes.writeUInt32LE(view.state === "run" ? view.pid : 0, 12);
    if (view.wanted !== "once") bytes.write(view.wanted === "down" ? "d" : "u", 17);
  }
  if (view.asked) bytes[17] = 0;
  return bytes.toString("latin1");
}
