/**
 * What is waited for, told on a terminal once that takes a while. It costs nothing before: what
 * draws it is loaded only then.
 */
import type { TerminalLine } from "./eyes/terminal-line.ts";

/** Who has waited so long wonders. */
const PATIENCE = 1_000;

/** How often is looked whether the words are others. */
const PAUSE = 200;

export class Progress {
  private line: TerminalLine | null = null;
  private ended = false;
  private timer: Timer | undefined;

  /** `words` gives what is to be told now: a byte string, without a newline. */
  constructor(
    private readonly words: () => string,
    quiet = false,
  ) {
    if (!quiet) this.timer = setTimeout(() => void this.begin(), PATIENCE);
  }

  private async begin(): Promise<void> {
    const { TerminalLine } = await import("./eyes/terminal-line.ts");
    if (this.ended) return;
    this.line = new TerminalLine(2);
    this.draw();
    this.timer = setInterval(() => this.draw(), PAUSE);
  }

  private draw(): void {
    this.line?.draw(this.words());
  }

  /** Makes room for something else that is to be written; later it is told again. */
  hide(): void {
    this.line?.draw("");
  }

  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    this.hide();
  }
}

/** For people who look on. */
export function waitingFor(names: Iterable<string>): string {
  return `waiting for ${[...names].join(", ")}`;
}
