/** A terminal for a program that fills it: keys one by one, lines in their places. */
import * as libc from "../libc.ts";
import { O } from "../libc.ts";
import { utf8 } from "./eye.ts";

const c = libc.bind({
  cfmakeraw: { args: ["ptr"], returns: "void" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  tcgetattr: { args: ["i32", "ptr"], returns: "i32" },
  tcsetattr: { args: ["i32", "i32", "ptr"], returns: "i32" },
});

const TIOCGWINSZ = 0x5413;
const TCSADRAIN = 1;
/** Larger than either libc's struct termios (60). */
const TERMIOS = 128;

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[J";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const CLEAR = "\x1b[H\x1b[J";

/** A terminal that takes nothing for so long has nobody who reads it: then we do not wait for it. */
const PATIENCE = 200;

/** The size of a terminal in characters; what nobody knows is 80 by 24. */
export function sizeOf(fd: number): { rows: number; columns: number } {
  const size = new Uint16Array(new ArrayBuffer(8));
  c.ioctl(fd, TIOCGWINSZ, size);
  const [rows = 0, columns = 0] = size;
  return { rows: rows || 24, columns: columns || 80 };
}

export class Terminal {
  private readonly saved = new Uint8Array(new ArrayBuffer(TERMIOS));
  private readonly raw = new Uint8Array(new ArrayBuffer(TERMIOS));
  private entered = false;
  /** What stands on the screen now, line by line; null: nobody knows. */
  private drawn: readonly string[] | null = [];

  private constructor(private readonly fd: number) {
    c.tcgetattr(fd, this.saved);
    this.raw.set(this.saved);
    c.cfmakeraw(this.raw);
  }

  /**
   * The terminal that we were started from. A description of our own: others' may go on waiting.
   * Minus the errno when there is none.
   */
  static open(): Terminal | number {
    const fd = libc.openat(libc.AT_FDCWD, "/dev/tty", O.RDWR | O.NONBLOCK | O.NOCTTY);
    return fd < 0 ? fd : new Terminal(fd);
  }

  get size(): { rows: number; columns: number } {
    return sizeOf(this.fd);
  }

  /** Takes it over, for the first time or after somebody else had it. */
  enter(): void {
    c.tcsetattr(this.fd, TCSADRAIN, this.raw);
    this.entered = true;
    this.drawn = [];
    this.write(ENTER);
  }

  /** Leaves it as it was. */
  leave(): void {
    if (!this.entered) return;
    this.entered = false;
    this.write(LEAVE);
    c.tcsetattr(this.fd, TCSADRAIN, this.saved);
  }

  /** Whatever was there may be gone. */
  forget(): void {
    this.drawn = null;
  }

  /** Shows these lines, which fit it; only those that changed are written. */
  draw(lines: readonly string[]): void {
    const before = this.drawn ?? [];
    let text = this.drawn ? "" : CLEAR;
    for (const [i, line] of lines.entries()) {
      if (before[i] !== line) text += `\x1b[${i + 1};1H${line}\x1b[0m\x1b[K`;
    }
    if (lines.length < before.length) text += `\x1b[${lines.length + 1};1H\x1b[J`;
    this.drawn = this.write(text) ? lines : null;
  }

  /** Tells of keys, until there are none any more: the terminal was hung up. */
  async readKeys(onKey: (key: string) => void): Promise<void> {
    try {
      const reader = Bun.file(this.fd).stream().getReader();
      const decoder = new TextDecoder();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        for (const key of keysIn(decoder.decode(value, { stream: true }))) onKey(key);
      }
    } catch {
      // its end and its failure are the same to us
    }
  }

  /** True when all was written. Waits where it is slow, but not for ever. */
  private write(text: string): boolean {
    for (let rest = utf8(text); rest !== ""; ) {
      const n = libc.writeText(this.fd, rest);
      if (n > 0) rest = rest.slice(n);
      else if (n === -libc.E.AGAIN) {
        if (!libc.waitAny([{ fd: this.fd, write: true }], PATIENCE)[0]) return false;
      } else if (n !== -libc.E.INTR) return false;
    }
    return true;
  }
}

const SEQUENCES: Readonly<Record<string, string>> = {
  "\x1b[A": "up",
  "\x1bOA": "up",
  "\x1b[B": "down",
  "\x1bOB": "down",
  "\x1b[5~": "page up",
  "\x1b[6~": "page down",
  "\x1b[H": "home",
  "\x1b[1~": "home",
  "\x1bOH": "home",
  "\x1b[F": "end",
  "\x1b[4~": "end",
  "\x1bOF": "end",
  "\x1b": "escape",
  "\r": "enter",
  "\n": "enter",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x03": "interrupt",
  "\x1c": "interrupt",
  "\x1a": "suspend",
  "\x0c": "redraw",
};

/** What was typed, key by key: characters as they are, others by name; unknown ones are left out. */
export function keysIn(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  const words = text.match(/\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[A-Z])|./gsu) ?? [];
  return words
    .map((word) => SEQUENCES[word] ?? (/^[^\p{Cc}\p{Cs}]$/u.test(word) ? word : ""))
    .filter((key) => key !== "");
}
