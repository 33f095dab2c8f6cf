/** What there is to say about a configuration: each with the file and the line that it is about. */

export type Place = { readonly file: string; readonly line: number };

/**
 * `error`: it cannot be understood, and nothing is written. `lost`: it could not be converted.
 * `note`: it is not needed any more, or stands elsewhere now.
 */
export type Kind = "error" | "lost" | "note";
export type Remark = { readonly kind: Kind; readonly place: Place; readonly text: string };

/** Collects them; what is said of each process of a program is kept once. */
export class Remarks {
  private readonly all = new Map<string, Remark>();

  add(kind: Kind, place: Place, text: string): void {
    this.all.set(`${place.file}:${place.line}: ${text}`, { kind, place, text });
  }

  /** By file and line. */
  get list(): readonly Remark[] {
    const all = [...this.all.values()];
    const files = [...new Set(all.map(({ place }) => place.file))];
    return files.flatMap((file) =>
      all.filter(({ place }) => place.file === file).sort((a, b) => a.place.line - b.place.line),
    );
  }

  has(kind: Kind): boolean {
    return this.list.some((remark) => remark.kind === kind);
  }
}

/** A value that cannot be understood: the message says why. */
export class Invalid extends Error {}
