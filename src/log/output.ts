/** Buffered output from an arena (reader.ts). */
import * as libc from "../libc.ts";
import type { Arena } from "./reader.ts";

/** Bytes that an output holds back, at most, until it is flushed. */
export const OUTPUT_SIZE = 65_536;

export abstract class Output {
  protected readonly bytes: Uint8Array;
  private readonly base: number;
  private end: number;

  constructor(
    arena: Arena,
    private readonly capacity = OUTPUT_SIZE,
  ) {
    this.bytes = arena.bytes;
    this.base = this.end = arena.take(capacity);
  }

  /** Appends bytes[from] up to, but not including, bytes[to] of the arena. */
  put(from: number, to: number): void {
    const length = to - from;
    if (this.end + length > this.base + this.capacity) {
      this.flush();
      if (length > this.capacity) return this.write(from, to);
    }
    this.bytes.copyWithin(this.end, from, to);
    this.end += length;
  }

  /** Bytes from elsewhere. */
  putText(text: string): void {
    for (let i = 0; i < text.length; i++) {
      if (this.end === this.base + this.capacity) this.flush();
      this.bytes[this.end++] = text.charCodeAt(i);
    }
  }

  /** Sees to it that so many bytes more are not torn apart by a flush. */
  reserve(length: number): void {
    if (this.end + length > this.base + this.capacity) this.flush();
  }

  flush(): void {
    const { base, end } = this;
    if (end === base) return;
    this.end = base;
    this.write(base, end);
  }

  /** Writes all of it. */
  protected abstract write(from: number, to: number): void;
}

/** To a descriptor that stays open; what cannot be written is told to `failed`, and dropped. */
export class DescriptorOutput extends Output {
  constructor(
    arena: Arena,
    private readonly fd: number,
    private readonly failed: (code: number) => void,
    capacity = OUTPUT_SIZE,
  ) {
    super(arena, capacity);
  }

  protected override write(from: number, to: number): void {
    for (let at = from; at < to; ) {
      const n = libc.writeBytes(this.fd, this.bytes, at, to);
      if (n === -libc.E.AGAIN) libc.waitWritable(this.fd);
      else if (n < 0 && n !== -libc.E.INTR) return this.failed(n);
      else at += Math.max(n, 0);
    }
  }
}
