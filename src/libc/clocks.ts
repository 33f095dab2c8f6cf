/** Clocks, and the calendar. */
import { c } from "./binding.ts";

const CLOCK_REALTIME = 0;
const CLOCK_BOOTTIME = 7;
const clockBuffer = new BigInt64Array(new ArrayBuffer(16));

/** Nanoseconds since boot: what the start times of processes are counted in. */
export function bootTime(): bigint {
  c.clock_gettime(CLOCK_BOOTTIME, clockBuffer);
  const [seconds = 0n, nanoseconds = 0n] = clockBuffer;
  return seconds * 1_000_000_000n + nanoseconds;
}

/** Milliseconds on CPU of all threads that a process has or had; 0 when it is gone. */
export function cpuTime(pid: number): number {
  // The number of a process's own clock, as clock_getcpuclockid(3) makes it.
  const gone = c.clock_gettime((~pid << 3) | 2, clockBuffer) < 0;
  return gone ? 0 : Number(clockBuffer[0]) * 1e3 + Number(clockBuffer[1]) / 1e6;
}

/** Seconds and nanoseconds since the epoch. */
export function wallTime(): { seconds: number; nanoseconds: number } {
  c.clock_gettime(CLOCK_REALTIME, clockBuffer);
  return { seconds: Number(clockBuffer[0]), nanoseconds: Number(clockBuffer[1]) };
}

/** struct tm, as far as POSIX has it: the month counts from 0, the year from 1900. */
export type CalendarTime = {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
};

const tmBuffer = new Int32Array(new ArrayBuffer(64));

/** Local time as TZ has it, leap seconds of "right/" zones included; null when out of range. */
export function localTime(seconds: bigint): CalendarTime | null {
  clockBuffer[0] = seconds;
  if (c.localtime_r(clockBuffer, tmBuffer) === null) return null;
  const [second = 0, minute = 0, hour = 0, day = 0, month = 0, year = 0] = tmBuffer;
  return { year, month, day, hour, minute, second };
}
