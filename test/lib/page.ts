/**
 * A page of documentation, as what is to be run of it and compared.
 *
 * - A block of language `console` has commands after `$ `, continued after `> `, each with the
 *   output that is expected of it; a line `...` in that stands for any lines. `$ ^C` is ctrl-C for
 *   the last background job.
 * - Comments, which nobody sees, each on lines of its own:
 *   `<!-- run: COMMAND -->` is run at that place, and must succeed;
 *   `<!-- needs: PROGRAM... -->`: without them the page is not run.
 *   Right before a block:
 *   `<!-- file: PATH -->`: its text is written there, as a program if it begins with `#!`;
 *   `<!-- same: PATH -->`: its text is that of this file of the repository, or a part of it;
 *   `<!-- not run: REASON -->`: it is not run;
 *   `<!-- before 2: COMMAND -->`: as `run`, between the first and the second of its commands.
 * - Nothing that looks like a command may stand elsewhere: not in a block of another language, and
 *   not indented.
 */

/** Lines are counted from 1. */
export type Fault = { readonly line: number; readonly what: string };

export type Command = {
  readonly kind: "command";
  readonly line: number;
  readonly text: string;
  readonly expected: readonly string[];
  /** What stands before each line of its block, and the index of the first one of the output. */
  readonly indent: string;
  readonly from: number;
};
export type Hidden = { readonly kind: "hidden"; readonly line: number; readonly text: string };
export type WrittenFile = {
  readonly kind: "file";
  readonly line: number;
  readonly path: string;
  readonly text: string;
};
export type Step = Command | Hidden | WrittenFile;

export type Page = {
  readonly lines: readonly string[];
  readonly steps: readonly Step[];
  /** Blocks that must be the text of a file of the repository. */
  readonly same: readonly WrittenFile[];
  readonly needs: readonly string[];
  readonly notRun: readonly { readonly line: number; readonly reason: string }[];
  /** Where links lead to that are not in a block, as written. */
  readonly links: readonly { readonly line: number; readonly target: string }[];
  readonly faults: readonly Fault[];
};

type Annotation = { readonly line: number; readonly key: string; readonly value: string };
type Block = {
  readonly line: number;
  readonly language: string;
  readonly indent: string;
  readonly lines: readonly string[];
};

const FENCE = /^( *)(`{3,}|~{3,}) *([^\s`]*)[^`]*$/;
const ANNOTATION = /^<!--\s*(run|needs|file|same|not run|before \d+):\s*([\s\S]*?)\s*-->$/;
const SHELLS = ["sh", "shell", "bash", "ksh", "zsh", "shell-session", "sh-session"];
const LINK = /!?\[(?:[^[\]]|\[[^\]]*\])*\]\(([^()\s]+)[^()]*\)/g;

export function parsePage(source: string): Page {
  const parser = new Parser(source.split("\n"));
  parser.parse();
  return parser;
}

class Parser implements Page {
  readonly steps: Step[] = [];
  readonly same: WrittenFile[] = [];
  readonly needs: string[] = [];
  readonly notRun: { line: number; reason: string }[] = [];
  readonly links: { line: number; target: string }[] = [];
  readonly faults: Fault[] = [];
  /** The index of the line that is looked at. */
  private at = 0;
  /** For the block that must follow. */
  private annotations: Annotation[] = [];
  private inList = false;

  constructor(readonly lines: readonly string[]) {}

  parse(): void {
    while (this.at < this.lines.length) {
      const line = this.lines[this.at] ?? "";
      const fence = FENCE.exec(line);
      if (fence) this.block(fence);
      else if (line.trimStart().startsWith("<!--")) this.comment();
      else this.prose(line);
    }
    this.unclaimed();
  }

  private fault(line: number, what: string): void {
    this.faults.push({ line, what });
  }

  /** Annotations that no block follows. */
  private unclaimed(): void {
    for (const { line, key } of this.annotations)
      this.fault(line, `no block right after "${key}:"`);
    this.annotations = [];
  }

  private prose(line: string): void {
    this.unclaimed();
    if (/^\s*([-*+]|\d+[.)]) /.test(line)) this.inList = true;
    else if (/^\S/.test(line)) this.inList = false;
    const before = this.lines[this.at - 1] ?? "";
    if (/^( {4}|\t)\s*\S/.test(line) && before.trim() === "" && !this.inList)
      this.fault(this.at + 1, "an indented block: put it between fences");
    for (const [, target = ""] of line.replace(/`[^`]*`/g, "").matchAll(LINK))
      this.links.push({ line: this.at + 1, target });
    this.at++;
  }

  private comment(): void {
    const first = this.at;
    while (this.at < this.lines.length && !this.lines[this.at]?.includes("-->")) this.at++;
    const text = this.lines
      .slice(first, ++this.at)
      .join("\n")
      .trim();
    const line = first + 1;
    const [, key = "", value = ""] = ANNOTATION.exec(text) ?? [];
    if (key === "") {
      if (/^<!--\s*[\w ]+:/.test(text)) this.fault(line, `not understood: ${text}`);
    } else if (value === "") this.fault(line, `nothing after "${key}:"`);
    else if (key === "run") this.steps.push({ kind: "hidden", line, text: value });
    else if (key === "needs") this.needs.push(...value.split(/\s+/));
    else this.annotations.push({ line, key, value });
  }

  private block([, indent = "", fence = "", language = ""]: RegExpExecArray): void {
    const line = this.at + 1;
    const closing = new RegExp(`^ *${fence}${fence[0]}* *$`);
    const first = ++this.at;
    while (this.at < this.lines.length && !closing.test(this.lines[this.at] ?? "")) this.at++;
    if (this.at === this.lines.length) this.fault(line, "a block without an end");
    const lines = this.lines.slice(first, this.at++);
    const margin = new RegExp(`^ {0,${indent.length}}`);
    this.claim({ line, language, indent, lines: lines.map((l) => l.replace(margin, "")) });
  }

  /** What the annotations before it say of a block. */
  private claim(block: Block): void {
    const { line, language, lines } = block;
    const before = this.annotations.filter(({ key }) => key.startsWith("before "));
    const annotations = this.annotations.filter((annotation) => !before.includes(annotation));
    this.annotations = [];
    for (const { line: at, key, value } of annotations) {
      const text = `${lines.join("\n")}\n`;
      if (key === "not run") this.notRun.push({ line: at, reason: value });
      else if (key === "same") this.same.push({ kind: "file", line, path: value, text });
      else this.steps.push({ kind: "file", line, path: value, text });
    }
    if (annotations.length > 0) return;
    if (language !== "console" && before.length > 0)
      this.fault(line, "hidden commands, but no others");
    if (language === "console") this.commands(block, before);
    else if (SHELLS.includes(language)) this.fault(line, `commands that nobody runs (${language})`);
    else if (language === "" && lines.some((l) => l.startsWith("$ ")))
      this.fault(line, "commands in a block that is not of the language console");
  }

  private commands({ line, indent, lines }: Block, before: readonly Annotation[]): void {
    if (!lines[0]?.startsWith("$ ")) this.fault(line, "does not begin with a command");
    let count = 0;
    for (let i = 0; i < lines.length; ) {
      const start = i;
      const key = `before ${++count}`;
      for (const { line, value } of before.filter((annotation) => annotation.key === key))
        this.steps.push({ kind: "hidden", line, text: value });
      const words = [lines[i++]?.slice(2) ?? ""];
      while (/^>( |$)/.test(lines[i] ?? "")) words.push(lines[i++]?.slice(2) ?? "");
      const output = i;
      while (i < lines.length && !lines[i]?.startsWith("$ ")) i++;
      this.steps.push({
        kind: "command",
        line: line + 1 + start,
        text: words.join("\n"),
        expected: lines.slice(output, i),
        indent,
        from: line + output,
      });
    }
    for (const { line, key } of before.filter(({ key }) => Number(key.slice(7)) > count))
      this.fault(line, `no command for "${key}:"`);
  }
}

/** The page with other outputs, by command; those that are not given stay. */
export function withOutputs(page: Page, outputs: ReadonlyMap<Command, readonly string[]>): string {
  const lines = [...page.lines];
  const commands = page.steps.filter((step) => step.kind === "command");
  for (const command of commands.reverse()) {
    const output = outputs.get(command);
    if (!output) continue;
    const indented = output.map((line) => (line === "" ? "" : command.indent + line));
    lines.splice(command.from, command.expected.length, ...indented);
  }
  return lines.join("\n");
}
