/**
 * The words of pmtr.conf: parted by blanks, held together by double quotes.
 *
 * Within quotes everything stands for itself, line ends too, but for two things: `\"` is a quote,
 * and backslashes right before a quote count by pairs (`\\"` is one backslash, and the end).
 * Outside of quotes a backslash is an ordinary character.
 */
import type { Problem } from "./config.ts";

/** `bare`: written without any quotes, so that it may be a brace. */
export type Word = { readonly text: string; readonly bare: boolean };

export type Line = { readonly number: number; readonly words: readonly Word[] };

const BLANKS = " \t\r\v\f";

/** All lines that say something: neither empty nor comments. Takes time linear in the text. */
export function readLines(text: string): { lines: Line[]; problems: Problem[] } {
  const reader = new Reader(text);
  const lines: Line[] = [];
  while (!reader.atEnd) {
    const line = reader.line();
    if (line.words.length > 0) lines.push(line);
  }
  return { lines, problems: reader.problems };
}

class Reader {
  readonly problems: Problem[] = [];
  private at = 0;
  private number = 1;
  /** A quote was not closed: then none of those that follow it is. */
  private unclosed = false;

  constructor(private readonly text: string) {}

  get atEnd(): boolean {
    return this.at >= this.text.length;
  }

  line(): Line {
    const number = this.number;
    const words: Word[] = [];
    this.skipBlanks();
    if (this.next === "#") this.skipToLineEnd();
    while (!this.atEnd && this.next !== "\n") {
      words.push(this.word());
      this.skipBlanks();
    }
    this.at++;
    this.number++;
    if (words.some((w) => w.text.includes("\0"))) {
      this.problems.push({ line: number, text: "a NUL byte: no argument can hold one" });
    }
    return { number, words };
  }

  private get next(): string {
    return this.text[this.at] ?? "";
  }

  private skipBlanks(): void {
    while (!this.atEnd && BLANKS.includes(this.next)) this.at++;
  }

  private skipToLineEnd(): void {
    const end = this.text.indexOf("\n", this.at);
    this.at = end < 0 ? this.text.length : end;
  }

  /** Quoted and unquoted parts that touch are one word. */
  private word(): Word {
    let text = "";
    let bare = true;
    while (!this.atEnd && this.next !== "\n" && !BLANKS.includes(this.next)) {
      if (this.next === '"') {
        text += this.quoted();
        bare = false;
      } else {
        text += this.next;
        this.at++;
      }
    }
    return { text, bare };
  }

  private quoted(): string {
    const begin = this.at + 1;
    let text = "";
    for (let from = begin; !this.unclosed; ) {
      const quote = this.text.indexOf('"', from);
      if (quote < 0) break;
      let slashes = 0;
      while (quote - slashes > from && this.text[quote - slashes - 1] === "\\") slashes++;
      text += this.text.slice(from, quote - slashes) + "\\".repeat(slashes >> 1);
      from = quote + 1;
      if (slashes % 2 === 0) {
        this.number += this.text.slice(begin, quote).split("\n").length - 1;
        this.at = from;
        return text;
      }
      text += '"';
    }
    return this.unclosedQuote(begin);
  }

  /** What follows is read as if the quote ended with its line, so that other errors are found. */
  private unclosedQuote(begin: number): string {
    if (!this.unclosed) {
      this.problems.push({ line: this.number, text: 'expected a closing " for the one here' });
    }
    this.unclosed = true;
    this.skipToLineEnd();
    return this.text.slice(begin, this.at);
  }
}

/** A word as it is to be written, so that it is read as it was: in quotes where it has to be. */
export function quoteConfWord(word: string): string {
  const plain = /^[^ \t\r\v\f\n"#{}][^ \t\r\v\f\n"]*$/.test(word);
  if (plain) return word;
  const escaped = word.replace(/(\\*)("|$)/g, (_, slashes: string, quote: string) => {
    return slashes + slashes + (quote && '\\"');
  });
  return `"${escaped}"`;
}
