/** procmgr.cfg: text to data, or what is wrong with it, line by line. Pure; never throws. */
import { PROCMGR_SOCKET } from "../../../config.ts";

export const ACTIONS = ["start", "restart", "reload", "signal", "stop", "status"] as const;
export type Action = (typeof ACTIONS)[number];

/** A user and a group by number; null: none. */
export type Ids = { readonly uid: number | null; readonly gid: number | null };

export type Program = {
  readonly name: string;
  /** What the shell is given for an action; those that are not there have a default. */
  readonly commands: Readonly<Partial<Record<Action, string>>>;
  /** Who may ask for it, beside root. */
  readonly allowed: Readonly<Record<Action, Ids>>;
  /** As whom its script runs; null: as the daemon. */
  readonly runAs: Readonly<Record<Action, Ids>>;
  /** Seconds from an end that nobody asked for to the next start; null: none follows. */
  readonly restartDelay: number | null;
  readonly cwd: string;
  /** The groups that start it with the daemon. */
  readonly autostart: readonly string[];
};

export type Config = {
  readonly socket: string;
  /** The group that is started with the daemon. */
  readonly doAutostart: string | null;
  readonly programs: ReadonlyMap<string, Program>;
};

/** `fatal`: the configuration cannot be used. */
export type Problem = { readonly line: number; readonly text: string; readonly fatal: boolean };
export type Parsed = { readonly config: Config; readonly problems: readonly Problem[] };

type Entry = { readonly value: string; readonly line: number };
type Section = { readonly line: number; readonly entries: Map<string, Entry> };

const PROGRAM = "prog-";

export function parseConfig(text: string): Parsed {
  const problems: Problem[] = [];
  const { globals, sections } = readSections(text, problems);
  const reader = new Reader(globals, null, problems);
  const socket = reader.text("socket-path") ?? PROCMGR_SOCKET;
  if (!socket.startsWith("/")) reader.complain("socket-path", "not an absolute path");
  const defaults = reader.ids("allow-", NOBODY);
  const runAs = reader.ids("default-s", NOBODY);
  const doAutostart = reader.text("do-autostart") ?? null;
  reader.complainOfRest();
  const programs = new Map<string, Program>();
  for (const [title, section] of sections) {
    if (!title.startsWith(PROGRAM) || title === PROGRAM) {
      problems.push({ line: section.line, text: `unknown section [${title}]`, fatal: false });
      continue;
    }
    const name = title.slice(PROGRAM.length);
    programs.set(
      name,
      readProgram(name, new Reader(section.entries, title, problems), defaults, runAs),
    );
  }
  problems.sort((a, b) => a.line - b.line);
  return { config: { socket, doAutostart, programs }, problems };
}

const NOBODY: Ids = { uid: null, gid: null };

/** The last section of a name, and the last value of a key, are the ones that count. */
function readSections(text: string, problems: Problem[]) {
  const globals = new Map<string, Entry>();
  const sections = new Map<string, Section>();
  let entries = globals;
  for (const [i, whole] of text.split("\n").entries()) {
    const line = i + 1;
    const content = whole.trim();
    if (content === "" || content.startsWith("#")) continue;
    const title = content.match(/^\[(.*)\]$/)?.[1]?.trim();
    const [, key, value] = content.match(/^([^=]*?)\s*=\s*(.*)$/) ?? [];
    if (content.includes("\0")) problems.push({ line, text: "a NUL byte", fatal: true });
    else if (title !== undefined) {
      entries = new Map();
      sections.delete(title);
      sections.set(title, { line, entries });
    } else if (key && value !== undefined) entries.set(key, { value, line });
    else problems.push({ line, text: `not understood: ${content.slice(0, 80)}`, fatal: true });
  }
  return { globals, sections };
}

function readProgram(name: string, reader: Reader, allow: Ids, global: Ids): Program {
  const allowed = reader.ids("allow-", allow);
  const runAs = reader.ids("default-s", global);
  const perAction = <T>(read: (action: Action) => T) =>
    Object.fromEntries(ACTIONS.map((action) => [action, read(action)])) as Record<Action, T>;
  const commands = Object.entries(perAction((action) => reader.text(`cmd-${action}`)));
  const cwd = reader.text("cwd") ?? "/";
  if (!cwd.startsWith("/")) reader.complain("cwd", "not an absolute path");
  const delay = reader.number("restart-delay", null);
  const program = {
    name,
    commands: Object.fromEntries(commands.filter(([, command]) => command !== undefined)),
    allowed: perAction((action) => reader.pair(`uid-${action}`, `gid-${action}`, allowed)),
    runAs: perAction((action) => reader.pair(`suid-${action}`, `sgid-${action}`, runAs)),
    restartDelay: delay !== null && delay > 0 ? delay : null,
    cwd,
    autostart: (reader.text("autostart") ?? "").split(/[\s,]+/).filter((word) => word !== ""),
  };
  reader.complainOfRest();
  return program;
}

/** Ids that no process can have: -1 means "unchanged" to the kernel. */
const ID_MOST = 2 ** 32 - 2;

/** Takes the values of one section, and tells which nobody asked for. */
class Reader {
  private readonly taken = new Set<string>();

  constructor(
    private readonly entries: ReadonlyMap<string, Entry>,
    private readonly title: string | null,
    private readonly problems: Problem[],
  ) {}

  text(key: string): string | undefined {
    this.taken.add(key);
    return this.entries.get(key)?.value;
  }

  /** `none`, and every number below 0, is null. */
  number(key: string, otherwise: number | null): number | null {
    const text = this.text(key);
    if (text === undefined) return otherwise;
    if (text === "none" || /^-\d+$/.test(text)) return null;
    const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (number <= ID_MOST) return number;
    this.complain(key, `neither a number nor none: ${text}`);
    return null;
  }

  pair(uidKey: string, gidKey: string, otherwise: Ids): Ids {
    return { uid: this.number(uidKey, otherwise.uid), gid: this.number(gidKey, otherwise.gid) };
  }

  ids(prefix: string, otherwise: Ids): Ids {
    return this.pair(`${prefix}uid`, `${prefix}gid`, otherwise);
  }

  complain(key: string, what: string, fatal = true): void {
    const line = this.entries.get(key)?.line ?? 0;
    this.problems.push({ line, text: `${key}: ${what}`, fatal });
  }

  complainOfRest(): void {
    const where = this.title === null ? "before the first section" : `in [${this.title}]`;
    for (const key of this.entries.keys()) {
      if (!this.taken.has(key)) this.complain(key, `unknown ${where}`, false);
    }
  }
}

/** `FILE:LINE: TEXT` */
export function describeProblem(file: string, { line, text, fatal }: Problem): string {
  return `${file}:${line}: ${fatal ? "" : "warning: "}${text}`;
}
