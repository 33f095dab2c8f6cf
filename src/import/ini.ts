/**
 * supervisord's dialect of ini files, which is that of Python's configparser: sections and options
 * may come again, and the last value of an option counts; `=` and `:` part names from values; lines
 * that are indented deeper than an option's continue its value, empty ones included; `;` and `#`
 * begin a comment at the beginning of a line or after a blank. [DEFAULT] is for all sections.
 */
import type { Place, Remarks } from "./remarks.ts";

export type Value = { readonly text: string; readonly place: Place };

export class Section {
  readonly options = new Map<string, Value>();

  constructor(
    readonly name: string,
    readonly place: Place,
  ) {}
}

export class Ini {
  /** In the order in which they were first seen. */
  readonly sections = new Map<string, Section>();
  readonly defaults = new Section("DEFAULT", { file: "", line: 0 });

  section(name: string, place: Place): Section {
    if (name === this.defaults.name) return this.defaults;
    const section = this.sections.get(name) ?? new Section(name, place);
    this.sections.set(name, section);
    return section;
  }

  get({ options }: Section, option: string): Value | undefined {
    return options.get(option) ?? this.defaults.options.get(option);
  }
}

/** Adds what a file says to what others have said; `change` is done to each of its values. */
export function readIni(
  ini: Ini,
  text: string,
  file: string,
  remarks: Remarks,
  change: (value: string) => string = (value) => value,
): void {
  const reader = new Reader(ini, remarks);
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  for (const [i, line] of lines.entries()) reader.read(line, { file, line: i + 1 });
  for (const { section, name, lines, place } of reader.values) {
    section.options.set(name, { text: change(stripEnd(lines.join("\n"))), place });
  }
}

type OpenValue = {
  readonly section: Section;
  readonly name: string;
  readonly lines: string[];
  readonly place: Place;
};

class Reader {
  readonly values: OpenValue[] = [];
  private section: Section | null = null;
  /** What a line that is indented deeper would continue. */
  private open: OpenValue | null = null;
  private indent = 0;
  private complained = false;

  constructor(
    private readonly ini: Ini,
    private readonly remarks: Remarks,
  ) {}

  read(line: string, place: Place): void {
    if (line.includes("\0")) this.remarks.add("error", place, "a NUL byte");
    const comment = commentStart(line);
    const content = strip(line.slice(0, comment));
    const indent = line.search(/[^\t-\r ]/);
    if (content === "") {
      if (comment === line.length) this.open?.lines.push("");
    } else if (this.open && indent > this.indent) {
      this.open.lines.push(content);
    } else {
      this.indent = indent;
      this.begin(content, place);
    }
  }

  private begin(content: string, place: Place): void {
    const header = content.match(/^\[(.+)\]/)?.[1];
    if (header !== undefined) {
      this.section = this.ini.section(header, place);
      this.open = null;
    } else if (this.section) {
      this.beginValue(this.section, content, place);
    } else if (!this.complained) {
      this.complained = true;
      this.remarks.add("error", place, "neither a comment nor a [section]");
    }
  }

  private beginValue(section: Section, content: string, place: Place): void {
    const [, name = "", text = ""] = content.match(/^([^=:]*)[=:](.*)$/s) ?? [];
    if (name === "") return this.remarks.add("error", place, "not OPTION=VALUE");
    this.open = { section, name: lower(strip(name)), lines: [strip(text)], place };
    this.values.push(this.open);
  }
}

/**
 * Where the comment of a line begins; its length if there is none. The first `;` and the first `#`
 * are looked at, then the second ones, until one is found that follows a blank: as there.
 */
function commentStart(line: string): number {
  if (/^[;#]/.test(strip(line))) return 0;
  let places = [";", "#"].map((mark) => ({ mark, at: -1 }));
  for (;;) {
    places = places
      .map(({ mark, at }) => ({ mark, at: line.indexOf(mark, at + 1) }))
      .filter(({ at }) => at >= 0);
    if (places.length === 0) return line.length;
    const begins = places.map(({ at }) => at).filter((at) => at === 0 || isBlank(line[at - 1]));
    if (begins.length > 0) return Math.min(...begins);
  }
}

// Blanks in ASCII. Not by trim(), which takes parts of UTF-8 for blanks.

const isBlank = (c = "") => /^[\t-\r ]$/.test(c);

export function strip(text: string): string {
  return stripEnd(text.replace(/^[\t-\r ]+/, ""));
}

function stripEnd(text: string): string {
  let end = text.length;
  while (isBlank(text[end - 1])) end--;
  return text.slice(0, end);
}

/** Of letters in ASCII; other bytes stay what they are. */
export function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
