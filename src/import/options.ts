/** The options of a section, whose faults become remarks. */
import { expand, type Names } from "./expand.ts";
import type { Ini, Section } from "./ini.ts";
import { Invalid, type Place, type Remarks } from "./remarks.ts";

export class Options {
  /** `subject`: whom the remarks are about. */
  constructor(
    private readonly ini: Ini,
    readonly section: Section,
    readonly subject: string,
    private readonly remarks: Remarks,
  ) {}

  has(option: string): boolean {
    return this.ini.get(this.section, option) !== undefined;
  }

  /** Where it stands; the section, if it was not given. */
  place(option: string): Place {
    return this.ini.get(this.section, option)?.place ?? this.section.place;
  }

  /** What stands there, before anything is expanded. */
  text(option: string): string | undefined {
    return this.ini.get(this.section, option)?.text;
  }

  /** The meaning of what stands there; the fallback if nothing does, or nothing that has one. */
  get<T>(option: string, names: Names, fallback: T, parse: (text: string) => T): T {
    const text = this.text(option);
    if (text === undefined) return fallback;
    return this.attempt(option, fallback, () => {
      const value = parse(expand(text, names));
      for (const variable of names.outsideIn(text)) {
        const now = `%(ENV_${variable})s stands for what ${variable} is now`;
        this.remark("note", option, now);
      }
      return value;
    });
  }

  attempt<T>(option: string, fallback: T, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Invalid)) throw error;
      this.remark("error", option, error.message);
      return fallback;
    }
  }

  remark(kind: "error" | "lost" | "note", option: string, text: string): void {
    this.remarks.add(kind, this.place(option), `${this.subject}: ${option}: ${text}`);
  }

  /** What supervisord does not know it passes over; that may be a slip. */
  noteUnknown(known: ReadonlySet<string>): void {
    for (const option of this.section.options.keys()) {
      if (!known.has(option)) this.remark("note", option, "supervisord has no such option");
    }
  }
}
