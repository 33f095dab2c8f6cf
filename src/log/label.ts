/**
 * TAI64N labels, and the timestamps that stand in front of lines.
 *
 * A label is "@" and 24 hexadecimal digits: 2^62 plus the seconds of TAI since 1970, then the
 * nanoseconds. TAI is taken to be UTC + 10 s, as daemontools and runit take it.
 */
import * as libc from "../libc.ts";

/** Bytes in a label. */
export const LABEL = 25;
/** Bytes in any timestamp, with the blank after it. */
export const STAMP = LABEL + 1;

const TAI_OFFSET = 10;
const SECOND = 1_000_000_000;
/** A clock that is this much behind what we wrote last was set back, in nanoseconds. */
const AHEAD = 1_000_000;

const AT_SIGN = 0x40;
const BLANK = 0x20;
const [ZERO, NINE, A, F] = [0x30, 0x39, 0x61, 0x66];
const [DASH, COLON, DOT] = [0x2d, 0x3a, 0x2e];

function writeHex(bytes: Uint8Array, at: number, value: number): void {
  for (let i = at + 7, rest = value; i >= at; i--, rest >>>= 4) {
    const digit = rest & 15;
    bytes[i] = digit < 10 ? ZERO + digit : A - 10 + digit;
  }
}

function writeDecimal(bytes: Uint8Array, at: number, digits: number, value: number): void {
  for (let i = at + digits - 1, rest = value; i >= at; i--, rest = Math.floor(rest / 10)) {
    bytes[i] = ZERO + (rest % 10);
  }
}

/** Writes the label of a time since the epoch to bytes[at]. */
export function writeLabel(
  bytes: Uint8Array,
  at: number,
  seconds: number,
  nanoseconds: number,
): void {
  const tai = seconds + TAI_OFFSET;
  bytes[at] = AT_SIGN;
  writeHex(bytes, at + 1, 2 ** 30 + Math.floor(tai / 2 ** 32));
  writeHex(bytes, at + 9, tai);
  writeHex(bytes, at + 17, nanoseconds);
}

/** Writes YYYY-MM-DD_HH:MM:SS.xxxxx, in UTC, with that byte between date and time. */
export function writeUtc(
  bytes: Uint8Array,
  at: number,
  seconds: number,
  nanoseconds: number,
  between: number,
): void {
  const date = new Date(seconds * 1000);
  writeDecimal(bytes, at, 4, date.getUTCFullYear());
  writeDecimal(bytes, at + 5, 2, date.getUTCMonth() + 1);
  writeDecimal(bytes, at + 8, 2, date.getUTCDate());
  writeDecimal(bytes, at + 11, 2, date.getUTCHours());
  writeDecimal(bytes, at + 14, 2, date.getUTCMinutes());
  writeDecimal(bytes, at + 17, 2, date.getUTCSeconds());
  writeDecimal(bytes, at + 20, 5, Math.floor(nanoseconds / 10_000));
  bytes[at + 4] = bytes[at + 7] = DASH;
  bytes[at + 10] = between;
  bytes[at + 13] = bytes[at + 16] = COLON;
  bytes[at + 19] = DOT;
}

/** The label of this moment. */
export function labelNow(): string {
  const bytes = Buffer.alloc(LABEL);
  const { seconds, nanoseconds } = libc.wallTime();
  writeLabel(bytes, 0, seconds, nanoseconds);
  return bytes.toString("latin1");
}

/** label: TAI64N; underscore, T: UTC to read, with that between date and time. */
export type StampFormat = "label" | "underscore" | "T";

/**
 * A timestamp kept ready in memory, to be copied in front of lines. The clock is asked once for
 * all lines that came with one read(2); labels count them in nanoseconds, so that no two are the
 * same and they sort in the order of the lines.
 */
export class Stamp {
  private seconds = 0;
  private nanoseconds = 0;

  constructor(
    private readonly bytes: Uint8Array,
    readonly at: number,
    private readonly format: StampFormat,
  ) {
    bytes[at + LABEL] = BLANK;
  }

  /** Asks the clock. */
  take(): void {
    const { seconds, nanoseconds } = libc.wallTime();
    const ahead = (this.seconds - seconds) * SECOND + this.nanoseconds - nanoseconds;
    if (ahead >= 0 && ahead < AHEAD) return this.next();
    this.seconds = seconds;
    this.nanoseconds = nanoseconds;
    this.write();
  }

  /** For one more line of the same read. */
  next(): void {
    if (++this.nanoseconds >= SECOND) {
      this.seconds++;
      this.nanoseconds = 0;
      this.write();
    } else if (this.format === "label") this.count();
  }

  /** Writes it in front of what begins there. */
  before(at: number): void {
    this.bytes.copyWithin(at - STAMP, this.at, this.at + STAMP);
  }

  private write(): void {
    const { bytes, at, seconds, nanoseconds } = this;
    if (this.format === "label") return writeLabel(bytes, at, seconds, nanoseconds);
    const between = this.format === "T" ? "T" : "_";
    writeUtc(bytes, at, seconds, nanoseconds, between.charCodeAt(0));
  }

  /** Adds one to the digits where they stand: mostly it is the last one only that changes. */
  private count(): void {
    for (let i = this.at + LABEL - 1; ; i--) {
      const digit = this.bytes[i] ?? 0;
      this.bytes[i] = digit === NINE ? A : digit === F ? ZERO : digit + 1;
      if (digit !== F) return;
    }
  }
}
