/** What tai64n and its relatives have in common: lines from standard input to standard output. */
import * as libc from "../libc.ts";
import type { Stamp } from "./label.ts";
import { DescriptorOutput, OUTPUT_SIZE } from "./output.ts";
import { Arena, LineReader, type LineSink, type ReaderOptions } from "./reader.ts";

/** For the exit without a word that these programs make when they can read or write no more. */
class Stuck extends Error {}

/**
 * Copies standard input through a sink, which may take so much room of the arena. Returns 0 at the end of input, 111 when
 * there is trouble.
 */
export function filter(
  options: ReaderOptions,
  room: number,
  sink: (arena: Arena, output: DescriptorOutput) => LineSink & { readonly stamp?: Stamp },
): number {
  // As the originals, we end by it when nobody reads any more.
  libc.defaultSignal(libc.SIGNALS.PIPE);
  const arena = new Arena(LineReader.room(options) + OUTPUT_SIZE + room);
  const output = new DescriptorOutput(arena, 1, () => {
    throw new Stuck();
  });
  const to = sink(arena, output);
  const reader = new LineReader(arena, to, options);
  reader.stamp = to.stamp ?? null;
  try {
    for (;;) {
      const n = reader.read();
      if (n === -libc.E.INTR) continue;
      if (n === 0) reader.finish(false);
      output.flush();
      if (n <= 0) return n === 0 ? 0 : 111;
    }
  } catch (error) {
    if (error instanceof Stuck) return 111;
    throw error;
  }
}
