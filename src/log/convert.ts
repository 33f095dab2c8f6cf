/** What tai64nlocal and tai64nfrac share: the label that a line begins with, in other words. */

import { filter } from "./filter.ts";
import type { Output } from "./output.ts";
import { type LineSink, READ_SIZE } from "./reader.ts";

/** Enough of a line to see its label, in bytes. */
const HEAD = 64;

const AT_SIGN = 0x40;
const [ZERO, A] = [0x30, 0x61];

/** The second 0 of the epoch, as labels count: 2^62 plus the 10 s between TAI and UTC. */
export const EPOCH = 4_611_686_018_427_387_914n;

/** A time since the epoch in words; null where there are none. */
export type Words = (seconds: bigint) => string | null;

/** -1 for what is no hexadecimal digit in lower case. */
function digit(byte: number): number {
  const decimal = byte - ZERO;
  if (decimal >= 0 && decimal < 10) return decimal;
  const letter = byte - A;
  return letter >= 0 && letter < 6 ? letter + 10 : -1;
}

/**
 * Writes each line with its label replaced by the words for its seconds, a dot, and nine digits
 * of nanoseconds; a line without one, or with one that is out of range, as it is.
 */
class Converter implements LineSink {
  // The words of the last label's second: most lines share it with their neighbour.
  private high = -1;
  private low = -1;
  private words: string | null = null;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly output: Output,
    private readonly wordsOf: Words,
  ) {}

  line(from: number, to: number, whole: boolean): void {
    const end = whole ? to + 1 : to;
    this.output.put(this.bytes[from] === AT_SIGN ? this.convert(from, to) : from, end);
  }

  more(from: number, to: number): void {
    this.output.put(from, to);
  }

  /** Writes what the label there says; returns where what is still to be written begins. */
  private convert(from: number, to: number): number {
    // As the originals read it: digits move up from the nanoseconds into 64 bits of seconds.
    let [high, low, nanoseconds] = [0, 0, 0];
    let at = from + 1;
    for (; at < to; at++) {
      const value = digit(this.bytes[at] ?? 0);
      if (value < 0) break;
      high = ((high << 4) | (low >>> 28)) >>> 0;
      low = ((low << 4) | (nanoseconds >>> 28)) >>> 0;
      nanoseconds = ((nanoseconds << 4) | value) >>> 0;
    }
    const words = this.lookUp(high, low);
    if (words === null) return from;
    this.output.putText(words);
    this.output.putText(`.${String(nanoseconds).padStart(9, "0")}`);
    return at;
  }

  private lookUp(high: number, low: number): string | null {
    if (high !== this.high || low !== this.low) {
      const label = (BigInt(high) << 32n) | BigInt(low);
      this.words = this.wordsOf(BigInt.asIntN(64, label - EPOCH));
      this.high = high;
      this.low = low;
    }
    return this.words;
  }
}

export function convert(words: Words): number {
  const options = { limit: HEAD, before: 0, size: READ_SIZE };
  return filter(options, 0, ({ bytes }, output) => new Converter(bytes, output, words));
}
