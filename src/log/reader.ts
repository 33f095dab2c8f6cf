/**
 * Standard input, line by line, for programs that copy most of what they read.
 *
 * Input, timestamp and output buffers lie in one block of memory, so that a line is moved by
 * copyWithin(), which costs less than finding its end; nothing is allocated per line. Lines are
 * handed out as places in that block, with room before them that may be written to.
 */
import * as libc from "../libc.ts";
import type { Stamp } from "./label.ts";

export const NEWLINE = 0x0a;

/** Bytes asked for at once: what a pipe holds. */
export const READ_SIZE = 65_536;

/** A block of memory to be divided up. */
export class Arena {
  readonly bytes: Uint8Array;
  private used = 0;

  constructor(size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(size));
  }

  /** Where the next so many bytes begin. */
  take(length: number): number {
    const at = this.used;
    this.used += length;
    if (this.used > this.bytes.length) throw new Error("the arena is too small");
    return at;
  }
}

/** What lines are handed to. */
export interface LineSink {
  /**
   * A whole line, with its newline at bytes[to]; or the first `limit` bytes, or more, of one whose
   * end is not here yet, up to but not including bytes[to].
   */
  line(from: number, to: number, whole: boolean): void;
  /** More of a line that was not whole; the last piece ends with its newline. */
  more(from: number, to: number): void;
}

export type ReaderOptions = {
  /** Lines that are longer are handed out in pieces. */
  readonly limit: number;
  /** Room that is needed before a line, in bytes. */
  readonly before: number;
  /** Bytes to be read at once. */
  readonly size: number;
};

export class LineReader {
  /** Kept at the time of the line that is handed out. */
  stamp: Stamp | null = null;
  /** Replacements of all 256 bytes, made before anything else. */
  table: Uint8Array | null = null;
  /** Whether the last byte that was read ended a line. */
  complete = true;

  private readonly bytes: Uint8Array;
  private readonly base: number;
  private readonly size: number;
  /** What was read and not handed out. */
  private start: number;
  private end: number;
  /** The beginning of the present line was handed out. */
  private inside = false;

  /** How much of an arena it takes. */
  static room({ limit, before, size }: ReaderOptions): number {
    return before + limit + size + 1;
  }

  constructor(
    arena: Arena,
    private readonly sink: LineSink,
    private readonly options: ReaderOptions,
  ) {
    this.bytes = arena.bytes;
    this.base = arena.take(LineReader.room(options)) + options.before;
    this.size = options.size;
    this.start = this.end = this.base;
  }

  /** One read of up to `length` bytes; what it gave is handed out. Returns as read(2) does. */
  read(length = this.size): number {
    const n = libc.readBytes(0, this.bytes, this.end, length);
    if (n <= 0) return n;
    if (this.table) this.replace(this.table, this.end, this.end + n);
    // A line bears the time of its first byte.
    const begun = this.start < this.end;
    if (!begun) this.stamp?.take();
    this.end += n;
    this.complete = this.bytes[this.end - 1] === NEWLINE;
    this.handOut(begun);
    return n;
  }

  /** Hands out a last line that has no newline: with one, unless told otherwise. */
  finish(newline = true): void {
    const { bytes, sink, start, end } = this;
    bytes[end] = NEWLINE;
    if (start < end) sink.line(start, end, newline);
    else if (this.inside && newline) sink.more(end, end + 1);
    this.start = this.end = this.base;
    this.inside = false;
    this.complete = true;
  }

  private handOut(begun: boolean): void {
    const { bytes, sink, end, stamp } = this;
    let old = begun;
    // Ends every search.
    bytes[end] = NEWLINE;
    while (this.start < end) {
      const from = this.start;
      const to = bytes.indexOf(NEWLINE, from);
      const whole = to < end;
      if (this.inside) sink.more(from, whole ? to + 1 : end);
      else if (whole || end - from >= this.options.limit) sink.line(from, to, whole);
      else break;
      this.inside = !whole;
      this.start = whole ? to + 1 : end;
      if (old) stamp?.take();
      else stamp?.next();
      old = false;
    }
    this.makeRoom();
  }

  private makeRoom(): void {
    this.bytes.copyWithin(this.base, this.start, this.end);
    this.end += this.base - this.start;
    this.start = this.base;
  }

  private replace(table: Uint8Array, from: number, to: number): void {
    for (let i = from; i < to; i++) this.bytes[i] = table[this.bytes[i] ?? 0] ?? 0;
  }
}
