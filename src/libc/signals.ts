/** Signals: their names, and which of them reach us. */
import { c, result } from "./binding.ts";
import { O } from "./constants.ts";

/** Signals by name, as `kill -l` has them (x86-64 and arm64 agree). */
export const SIGNALS = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  PWR: 30,
  SYS: 31,
} as const;

const signalNames = new Map(Object.entries(SIGNALS).map(([name, n]) => [n as number, name]));

/** 15 -> "TERM"; real-time and unknown signals keep their number. */
export function signalName(signal: number): string {
  return signalNames.get(signal) ?? String(signal);
}

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;

function signalSet(signals: readonly number[]): Uint8Array {
  const set = new Uint8Array(128);
  for (const s of signals) set[(s - 1) >> 3] = (set[(s - 1) >> 3] ?? 0) | (1 << ((s - 1) & 7));
  return set;
}

/**
 * Holds back signals until unblockSignals(), or for the program that we become. Returns whether
 * all of them were held back before.
 */
export function blockSignals(signals: readonly number[]): boolean {
  const before = new Uint8Array(128);
  const set = signalSet(signals);
  c.pthread_sigmask(SIG_BLOCK, set, before);
  return set.every((bits, i) => (bits & ~(before[i] ?? 0)) === 0);
}

/** A descriptor that signals which are held back can be read from (signalfd(2)). */
export function signalDescriptor(signals: readonly number[]): number {
  return result(c.signalfd(-1, signalSet(signals), O.CLOEXEC | O.NONBLOCK));
}

const signalBuffer = new Uint32Array(new ArrayBuffer(128));

/** The next signal from such a descriptor; 0 when there is none. */
export function takeSignal(fd: number): number {
  return c.read(fd, signalBuffer, 128) === 128 ? (signalBuffer[0] ?? 0) : 0;
}

export function unblockSignals(): void {
  c.pthread_sigmask(SIG_SETMASK, new Uint8Array(128), null);
}

/** Gives a signal its default action again, in place of what the runtime installed. */
export function defaultSignal(signal: number): void {
  c.signal(signal, 0);
}
