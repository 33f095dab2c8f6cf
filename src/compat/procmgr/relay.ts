/** Copies between our own standard streams and the FIFOs of a request. */
import * as libc from "../../libc.ts";
import { E, type Interest } from "../../libc.ts";

/** In one piece: what a pipe holds. */
const PIECE = 65_536;

/** More than the largest pipe holds. */
const PIECES_MOST = 17;

export class Relay {
  private stdin: number;
  private readonly outputs: readonly { from: number; readonly to: number }[];
  private readonly buffer = new Uint8Array(new ArrayBuffer(PIECE));
  /** Read from our standard input, and not passed on yet. */
  private readonly input = new Uint8Array(new ArrayBuffer(PIECE));
  private from = 0;
  private to = 0;

  /** For 0 to 2, each open for both ways and not waiting. */
  constructor([stdin = -1, stdout = -1, stderr = -1]: readonly number[]) {
    this.stdin = stdin;
    this.outputs = [
      { from: stdout, to: 1 },
      { from: stderr, to: 2 },
    ];
  }

  /** What there is to wait for: input, or room for it; both outputs. */
  get interests(): Interest[] {
    const pending = this.from < this.to;
    const input = pending ? { fd: this.stdin, write: true } : { fd: this.stdin < 0 ? -1 : 0 };
    return [input, ...this.outputs.map(({ from }) => ({ fd: from }))];
  }

  copy([input, ...outputs]: readonly boolean[]): void {
    if (input) this.copyInput();
    for (const [i, ready] of outputs.entries()) if (ready) this.copyOutput(i);
  }

  /** The script has ended: what it wrote before that is there. */
  drain(): void {
    for (const i of this.outputs.keys()) {
      // What it has left running may write for ever.
      for (let pieces = 0; pieces < PIECES_MOST && this.copyOutput(i); ) pieces++;
    }
  }

  private copyInput(): void {
    if (this.from === this.to) {
      const n = libc.readBytes(0, this.input, 0, PIECE);
      if (n === -E.INTR || n === -E.AGAIN) return;
      // The script sees the end as soon as nobody has it open for writing.
      if (n <= 0) return this.endInput();
      [this.from, this.to] = [0, n];
    }
    const written = libc.writeBytes(this.stdin, this.input, this.from, this.to);
    if (written > 0) this.from += written;
  }

  private endInput(): void {
    libc.close(this.stdin);
    this.stdin = -1;
  }

  /** True if there was something. When nobody reads ours any more, the script is to notice. */
  private copyOutput(i: number): boolean {
    const output = this.outputs[i];
    if (!output) return false;
    const n = libc.readBytes(output.from, this.buffer, 0, PIECE);
    for (let at = 0; at < n; ) {
      const written = libc.writeBytes(output.to, this.buffer, at, n);
      if (written === -E.AGAIN) libc.waitWritable(output.to);
      else if (written < 0 && written !== -E.INTR) {
        libc.close(output.from);
        output.from = -1;
        return false;
      }
      if (written > 0) at += written;
    }
    return n > 0;
  }
}
