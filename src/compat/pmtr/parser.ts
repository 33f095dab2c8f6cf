/** pmtr.conf(5): text to data, and everything that is wrong with it. Pure; never throws. */
import { type Config, type Job, PLAIN_JOB, type Problem, type UdpAddress } from "./config.ts";
import { type Draft, OPTIONS, REPEATABLE, type System, show } from "./options.ts";
import { type Line, readLines, type Word } from "./words.ts";

export type Parsed = { readonly config: Config; readonly problems: readonly Problem[] };

export function parseConfig(text: string, system: System): Parsed {
  const { lines, problems } = readLines(text);
  const parser = new Parser(lines, system);
  parser.file();
  const all = [...problems, ...parser.problems].sort((a, b) => a.line - b.line);
  return { config: parser.config, problems: all };
}

class Parser {
  readonly problems: Problem[] = [];
  private readonly jobs: Job[] = [];
  private report: UdpAddress | null = null;
  private listen: UdpAddress | null = null;
  /** Names that are taken, and by which line. */
  private readonly names = new Map<string, number>();
  private at = 0;

  constructor(
    private readonly lines: readonly Line[],
    private readonly system: System,
  ) {}

  get config(): Config {
    return { jobs: this.jobs, report: this.report, listen: this.listen };
  }

  file(): void {
    for (let line = this.take(); line; line = this.take()) {
      const [first = "", second = "", ...more] = line.words.map((w) => w.text);
      if (first === "job") this.job(line);
      else if (first === "report" && second === "to") this.report = this.address(line, more, "@");
      else if (first === "listen" && second === "on") this.listen = this.address(line, more, "");
      else if (isBrace(line.words[0], "}")) this.fault(line, "expected no }: nothing is open");
      else this.unknown(line, first);
    }
  }

  /** What seems to be a block, but is none that we know, is one mistake. */
  private unknown(line: Line, first: string): void {
    this.fault(line, `expected job {, report to or listen on, not ${show(first)}`);
    if (!isBrace(line.words.at(-1), "{")) return;
    for (let inner = this.take(); inner; inner = this.take()) {
      if (isBrace(inner.words[0], "}")) return;
      if (this.isHead(inner)) return void this.at--;
    }
  }

  private take(): Line | undefined {
    return this.lines[this.at++];
  }

  private fault(line: Line, text: string): void {
    this.problems.push({ line: line.number, text });
  }

  /** An opening brace at the end of this line, or alone on the next one. */
  private open(line: Line, what: string): void {
    const [brace, ...more] = line.words.slice(1);
    if (isBrace(brace, "{")) {
      if (more.length > 0) this.fault(line, `${what}: expected a new line after {`);
      return;
    }
    const next = this.lines[this.at];
    if (!brace && next?.words.length === 1 && isBrace(next.words[0], "{")) this.at++;
    else this.fault(line, `${what}: expected { after it`);
  }

  private job(head: Line): void {
    this.open(head, "job");
    const job: Draft = { ...PLAIN_JOB };
    const given = new Map<string, number>();
    for (let line = this.take(); ; line = this.take()) {
      const [first, ...rest] = line?.words ?? [];
      if (!line || !first || this.isHead(line)) {
        this.fault(head, "job: expected } at its end");
        if (line) this.at--;
        break;
      }
      if (isBrace(first, "}")) {
        if (rest.length > 0) this.fault(line, "expected a new line after }");
        break;
      }
      this.option(line, job, given);
    }
    if (!given.has("name")) this.fault(head, "job: expected a name in it");
    if (!given.has("cmd")) this.fault(head, "job: expected a cmd in it");
    this.jobs.push(job);
  }

  /** The beginning of another job, where the end of this one was forgotten. */
  private isHead({ words }: Line): boolean {
    return words[0]?.text === "job" && isBrace(words[1], "{");
  }

  private option(line: Line, job: Draft, given: Map<string, number>): void {
    const [key = "", ...words] = line.words.map((w) => w.text);
    if (key === "depends") this.depends(line, job);
    else if (!Object.hasOwn(OPTIONS, key)) {
      return this.fault(line, `expected an option of a job, not ${show(key)}`);
    }
    const before = given.get(key);
    if (before !== undefined && !REPEATABLE.includes(key)) {
      this.fault(line, `${key}: expected only once in a job; it is in line ${before}, too`);
    }
    given.set(key, line.number);
    const fault = OPTIONS[key]?.(words, job, this.system) ?? null;
    if (fault !== null) this.fault(line, `${key}: ${fault}`);
    if (key === "name" && fault === null) this.claim(line, job.name);
  }

  private claim(line: Line, name: string): void {
    const other = this.names.get(name);
    if (other === undefined) this.names.set(name, line.number);
    else this.fault(line, `name: expected another one: ${show(name)} is taken in line ${other}`);
  }

  /** One file in each line, up to the closing brace. */
  private depends(head: Line, job: Draft): void {
    this.open(head, "depends");
    for (let line = this.take(); ; line = this.take()) {
      const [first, ...more] = line?.words ?? [];
      if (!line || !first || this.isHead(line)) {
        this.fault(head, "depends: expected } at its end");
        if (line) this.at--;
        return;
      }
      if (more.length > 0) this.fault(line, "depends: expected one file in each line");
      if (isBrace(first, "}")) return;
      if (first.text === "") this.fault(line, "depends: expected a file");
      job.depends = [...job.depends, first.text];
    }
  }

  private address(line: Line, words: readonly string[], device: "@" | ""): UdpAddress | null {
    const [key, preposition] = line.words.map((w) => w.text);
    const before = key === "report" ? this.report : this.listen;
    if (before) this.fault(line, `${key} ${preposition}: expected only once in a file`);
    const [url = "", ...more] = words;
    const address = more.length === 0 ? parseAddress(url) : null;
    if (address && (address.device === null || device)) return address;
    const form = device ? "udp://HOST:PORT, perhaps with @INTERFACE" : "udp://ADDRESS:PORT";
    this.fault(line, `${key} ${preposition}: expected ${form}`);
    return before;
  }
}

function isBrace(word: Word | undefined, brace: "{" | "}"): boolean {
  return word?.bare === true && word.text === brace;
}

function parseAddress(url: string): UdpAddress | null {
  const [, host = "", digits = "", device = null] =
    url.match(/^udp:\/\/([\w.-]+):(\d{1,5})(?:@([^\s@/]+))?$/) ?? [];
  const port = Number(digits);
  return host !== "" && port > 0 && port < 65_536 ? { host, port, device } : null;
}
