/** What the logs of multilog and svlogd have in common: files of a limited size. */
import { O } from "../libc.ts";
import { Output } from "./output.ts";
import { NEWLINE } from "./reader.ts";

export const APPEND = O.WRONLY | O.NONBLOCK | O.APPEND | O.CREAT;
export const READ = O.RDONLY | O.NONBLOCK;

/** Modes: the owner's x bit says that a file is complete and safe on the disk. */
export const [UNSAFE, SAFE] = [0o644, 0o744];

/** Calls until it does not fail; `failed` is told of each failure, and waits as long as it likes. */
export function persist(call: () => number, failed: (code: number) => void): number {
  for (;;) {
    const value = call();
    if (value >= 0) return value;
    failed(value);
  }
}

/** Old logs sort by their names, which begin with a label: the oldest of them. */
export function oldest(names: readonly string[]): string | undefined {
  return names.reduce((a, b) => (b < a ? b : a), names[0] ?? "") || undefined;
}

export abstract class RotatedLog extends Output {
  /** Bytes in the present file. */
  protected size = 0;
  /** Bytes that a file may have; 0: as many as come. */
  protected max = 0;
  /** A line that ends when the file has this many bytes is the last of it. */
  protected early = Number.POSITIVE_INFINITY;

  protected override write(from: number, to: number): void {
    for (let at = from; at < to; ) {
      if (this.max > 0 && this.size >= this.max) this.rotate();
      const n = this.append(at, this.pieceEnd(at, to));
      at += n;
      this.size += n;
      if (this.size >= this.early && this.bytes[at - 1] === NEWLINE) this.rotate();
    }
  }

  /** Where what may go to the present file ends. */
  private pieceEnd(from: number, to: number): number {
    if (this.max === 0) return to;
    const end = Math.min(to, from + this.max - this.size);
    const search = Math.max(from, from + this.early - this.size - 1);
    if (search >= end) return end;
    const newline = this.bytes.indexOf(NEWLINE, search);
    return newline >= 0 && newline < end ? newline + 1 : end;
  }

  /** Writes some of it, waiting for as long as nothing can be written; returns how much. */
  protected abstract append(from: number, to: number): number;

  /** Begins a new file. */
  protected abstract rotate(): void;
}
