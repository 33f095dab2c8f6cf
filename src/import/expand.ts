/** %(name)s in values, as Python's % operator has it for a dictionary of texts and numbers. */
import { Invalid } from "./remarks.ts";

/** What names stand for. */
export class Names {
  private constructor(
    private readonly values: ReadonlyMap<string, string | number>,
    /** Those that came from the environment of this process, and not from the file. */
    private readonly outside: ReadonlySet<string>,
  ) {}

  /** ENV_X for each variable X. */
  static ofEnvironment(variables: ReadonlyMap<string, string>): Names {
    const values = environmentNames(variables);
    return new Names(values, new Set(values.keys()));
  }

  /** With more of them, which go before those of the same name. */
  with(more: Iterable<readonly [string, string | number]>): Names {
    const added = new Map(more);
    const outside = [...this.outside].filter((name) => !added.has(name));
    return new Names(new Map([...this.values, ...added]), new Set(outside));
  }

  get(name: string): string | number | undefined {
    return this.values.get(name);
  }

  /** The variables in a text whose values are those that they have now. */
  outsideIn(text: string): string[] {
    const used = [...text.matchAll(/%\(([^()]*)\)/g)].map(([, name = ""]) => name);
    return [...new Set(used)].filter((name) => this.outside.has(name)).map((name) => name.slice(4));
  }
}

export function environmentNames(variables: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...variables].map(([name, value]) => [`ENV_${name}`, value]));
}

const CONVERSION = /%(?:%|\(([^()]*)\)([-+ 0#]*)(\d*)(?:\.(\d*))?[hlL]?(.))|%/gs;

const WIDEST = 1_000;

/** Throws Invalid. */
export function expand(text: string, names: Names): string {
  return text.replace(CONVERSION, (whole: string, ...parts: (string | undefined)[]) => {
    const [name, flags = "", width, precision, type = ""] = parts;
    if (whole === "%%") return "%";
    if (name === undefined) throw new Invalid("a % that is neither %% nor begins %(name)s");
    const value = names.get(name);
    if (value === undefined) throw new Invalid(unknown(name, whole));
    if (Number(width ?? 0) > WIDEST || Number(precision ?? 0) > WIDEST) {
      throw new Invalid(`${whole}: too wide`);
    }
    return pad(convert(value, { flags, precision, type, whole }), flags, Number(width ?? 0), type);
  });
}

function unknown(name: string, whole: string): string {
  return name.startsWith("ENV_")
    ? `${whole}: ${name.slice(4)} is not in the environment`
    : `${whole}: there is no such name here`;
}

type Conversion = {
  readonly flags: string;
  readonly precision: string | undefined;
  readonly type: string;
  readonly whole: string;
};

function convert(value: string | number, { flags, precision, type, whole }: Conversion): string {
  if (type === "s") {
    return precision === undefined ? `${value}` : `${value}`.slice(0, Number(precision));
  }
  if (typeof value === "string" || !/^[diuxXo]$/.test(type)) {
    throw new Invalid(`${whole}: cannot be converted so`);
  }
  const base = { x: 16, X: 16, o: 8 }[type] ?? 10;
  const digits = Math.abs(value)
    .toString(base)
    .padStart(Number(precision ?? 0), "0");
  const sign = value < 0 ? "-" : (flags.match(/\+/)?.[0] ?? flags.match(/ /)?.[0] ?? "");
  const prefix = flags.includes("#") && base !== 10 ? `0${type}` : "";
  const text = `${sign}${prefix}${digits}`;
  return type === "X" ? text.toUpperCase() : text;
}

function pad(text: string, flags: string, width: number, type: string): string {
  if (flags.includes("-")) return text.padEnd(width);
  if (!flags.includes("0") || type === "s") return text.padStart(width);
  const [, sign = "", digits = ""] = text.match(/^([-+ ]?(?:0[xXo](?=.))?)(.*)$/s) ?? [];
  return sign + digits.padStart(width - sign.length, "0");
}
