/** What pmtr's datagrams hold: commands, and reports. Pure. */
import { quoteConfWord, readLines } from "./words.ts";

/** No command is longer; what is cannot be one. */
const LONGEST_COMMAND = 1_500;

/** A datagram of IPv4 holds no more. */
const LONGEST_REPORT = 65_000;

export type Command = { readonly enable: boolean; readonly names: readonly string[] };

/** `enable NAME...` or `disable NAME...`, words as in the configuration; null for all else. */
export function parseCommand(bytes: Uint8Array): Command | null {
  if (bytes.length > LONGEST_COMMAND) return null;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const { lines, problems } = readLines(text);
  const [line, more] = lines;
  if (!line || more || problems.length > 0) return null;
  const [verb, ...names] = line.words.map((w) => w.text);
  if ((verb !== "enable" && verb !== "disable") || names.length === 0) return null;
  return { enable: verb === "enable", names };
}

/** A job as the report has it. */
export type Reported = {
  readonly name: string;
  readonly enabled: boolean;
  readonly seconds: number;
  /** 0: none runs. */
  readonly pid: number;
  readonly program: string;
};

/** The payload of a report: whole lines, as many as a datagram holds. */
export function formatReport(
  host: string,
  interfaceAddress: string | null,
  jobs: readonly Reported[],
): string {
  let text = `report ${host}${interfaceAddress === null ? "" : ` ${interfaceAddress}`}\n`;
  for (const { name, enabled, seconds, pid, program } of jobs) {
    const words = [quoteConfWord(name), enabled ? "e" : "d", seconds, pid, quoteConfWord(program)];
    const line = `${words.join(" ")}\n`;
    if (text.length + line.length > LONGEST_REPORT) break;
    text += line;
  }
  return text;
}
