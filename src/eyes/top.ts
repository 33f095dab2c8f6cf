/** svctl top: all services on the whole screen, and keys to control them. */
import { getenv, parseCount } from "../bytes.ts";
import { out, UsageError } from "../cli.ts";
import * as libc from "../libc.ts";
import { SIGNALS } from "../libc.ts";
import type { Command } from "../rundir.ts";
import { Census } from "./census.ts";
import { openRundir, plainText, utf8, type View } from "./eye.ts";
import { findLog, type LogFiles } from "./logfiles.ts";
import { screenLine } from "./logs.ts";
import { Sampler } from "./sampler.ts";
import {
  type Action,
  initial,
  logPicture,
  ordered,
  picture,
  press,
  type State,
  scrolled,
} from "./screen.ts";
import {
  filterRows,
  heading,
  layout,
  line,
  type Row,
  SORT_KEYS,
  type SortKey,
  sortRows,
} from "./table.ts";
import { sizeOf, Terminal } from "./terminal.ts";

export const usage = `usage: svctl top [--once] [--sort COLUMN] [--filter WORDS] [--interval SECONDS] [SERVICE...]

Show services, their processes and what these use; h lists the keys.

  --once         print the table and exit; so does a standard output that is no terminal
  --sort COLUMN  name state pid age restarts cpu memory threads descriptors exit
  --filter WORDS only those in whose name or state all the words occur
  --interval SECONDS
                 between two measurements (2)
  -d SYSDIR      directory of services
  -r RUNDIR      directory of state
`;

export const spec = { boolean: ["once"], string: ["sort", "filter", "interval"] };

const INTERVAL = 2_000;
/** Changes of services are shown at once, but not more often than this. */
const PAUSE = 100;
/** How often the log that is followed is looked at. */
const LOG_PAUSE = 250;
/** Lines of a log that are kept for the screen, and how many bytes are read for that at once. */
const LOG_LINES = 500;
const LOG_SIZE = 1_048_576;

export async function run(view: View): Promise<number> {
  const { options } = view;
  const sort = sortKey(options.value("sort"));
  const filter = options.value("filter") ?? "";
  const interval = intervalOf(options.value("interval"));
  const rundir = openRundir(view.rundir);
  const terminal = libc.isTerminal(1) && getenv("TERM") !== "dumb" ? Terminal.open() : -1;
  if (options.has("once") || typeof terminal === "number") {
    const sampler = new Sampler(new Census(rundir, "once"), view.names);
    const rows = sortRows(filterRows(sampler.measure(), filter), sort, false);
    const width = libc.isTerminal(1)
      ? sizeOf(1).columns
      : parseCount(getenv("COLUMNS") ?? "") || 132;
    const wide = layout(rows, width);
    const lines = [heading(wide, width), ...rows.map((row) => line(row, wide, width))];
    out(utf8(lines.map((text) => `${text.trimEnd()}\n`).join("")));
    return 0;
  }
  const sampler = new Sampler(new Census(rundir), view.names);
  return await new Top(view, terminal, sampler, { ...initial, sort, filter }, interval).run();
}

function sortKey(text = "name"): SortKey {
  const key = SORT_KEYS.find((k) => k === text);
  if (!key) throw new UsageError(`--sort: one of ${SORT_KEYS.join(" ")}`);
  return key;
}

function intervalOf(text: string | undefined): number {
  if (text === undefined) return INTERVAL;
  const seconds = parseCount(text);
  if (!seconds || seconds > 3_600) throw new UsageError(`--interval: not 1 to 3600: ${text}`);
  return seconds * 1000;
}

// --------------------------------------------------------------------- screen

/** Signals that end it, once the terminal is as it was. */
const ENDINGS = ["HUP", "INT", "QUIT", "ABRT", "USR1", "USR2", "PIPE", "ALRM", "TERM"] as const;

class Top {
  private rows: Row[] = [];
  private table: Row[] = [];
  private log: { title: string; files: LogFiles | null; lines: string[] } | null = null;
  private pending: Timer | null = null;
  private following: Timer | null = null;
  private readonly ended = Promise.withResolvers<number>();
  private readonly colour = !getenv("NO_COLOR");

  constructor(
    private readonly view: View,
    private readonly terminal: Terminal,
    private readonly sampler: Sampler,
    private state: State,
    private readonly interval: number,
  ) {}

  async run(): Promise<number> {
    try {
      this.terminal.enter();
      this.listen();
      this.measure();
      return await this.ended.promise;
    } finally {
      process.removeAllListeners("uncaughtException");
      this.terminal.leave();
    }
  }

  /** What goes wrong ends us, with the terminal as it was. */
  private guarded(action: () => void): () => void {
    return () => {
      try {
        action();
      } catch (error) {
        this.ended.reject(error);
      }
    };
  }

  /** Everything that may happen. */
  private listen(): void {
    for (const name of ENDINGS) {
      process.on(`SIG${name}`, () => this.ended.resolve(128 + SIGNALS[name]));
    }
    process.on(
      "SIGWINCH",
      this.guarded(() => this.redrawLater()),
    );
    process.on("SIGTSTP", () => this.suspend());
    process.on(
      "SIGCONT",
      this.guarded(() => this.resume()),
    );
    process.on("uncaughtException", (error) => this.ended.reject(error));
    this.sampler.census.listen(this.guarded(() => this.later()));
    setInterval(
      this.guarded(() => this.measure()),
      this.interval,
    );
    const onKey = (key: string) => this.guarded(() => this.press(key))();
    void this.terminal.readKeys(onKey).then(() => this.ended.resolve(128 + SIGNALS.HUP));
  }

  private measure(): void {
    this.rows = this.sampler.measure();
    this.show();
  }

  /** Something changed: a burst of that is shown once. */
  private later(): void {
    if (this.pending) return;
    const look = () => {
      this.pending = null;
      this.rows = this.sampler.rows();
      this.show();
    };
    this.pending = setTimeout(this.guarded(look), PAUSE);
  }

  private show(): void {
    const { size } = this.terminal;
    this.table = ordered(this.state, this.rows);
    this.state = scrolled(this.state, this.table, size);
    const frame = { size, clock: this.clock(), colour: this.colour };
    if (this.log) this.readLog();
    this.terminal.draw(
      this.log
        ? logPicture(this.log.title, this.log.lines, frame, this.state)
        : picture(this.state, this.rows, this.table, frame),
    );
  }

  private clock(): string {
    const local = libc.localTime(BigInt(Math.floor(Date.now() / 1000)));
    const two = (n = 0) => String(n).padStart(2, "0");
    const time = `${two(local?.hour)}:${two(local?.minute)}:${two(local?.second)}`;
    const pid = this.sampler.census.directory.supervisor();
    return `${time}  ${pid === null ? "no sysmgr" : `sysmgr ${pid}`}`;
  }

  private press(key: string): void {
    const [state, action] = press(this.state, key, this.table, this.terminal.size);
    this.state = state;
    if (action) this.act(action);
    this.show();
  }

  private act(action: Action): void {
    switch (action.type) {
      case "quit":
        return this.ended.resolve(0);
      case "suspend":
        return this.suspend();
      case "redraw":
        return this.terminal.forget();
      case "close log":
        return this.closeLog();
      case "log":
        return this.openLog(action.name);
      case "command":
        return this.command(action.name, action.command);
    }
  }

  /** Asks sysmgr for it; what comes of it is seen in the table. */
  private command(name: string, word: Command): void {
    const { directory } = this.sampler.census;
    const request = directory.request(name, word);
    if (typeof request !== "number") request.close();
    const message =
      typeof request === "number"
        ? `cannot write ${plainText(directory.requestPath(name, word))}: ${libc.strerror(request)}`
        : `${plainText(name)}: ${word} requested`;
    this.state = { ...this.state, message };
  }

  private openLog(name: string): void {
    const files = findLog(name, this.sampler.census.directory, this.view.sysdir);
    const title = `log of ${plainText(name)}`;
    this.log = { title, files, lines: (files?.last(LOG_LINES, LOG_SIZE) ?? []).map(screenLine) };
    this.following = setInterval(
      this.guarded(() => this.show()),
      LOG_PAUSE,
    );
    if (!files) this.state = { ...this.state, message: "no log was found; q back to the table" };
  }

  private readLog(): void {
    const log = this.log;
    if (!log?.files) return;
    const fresh = log.files.more(LOG_SIZE).slice(-LOG_LINES).map(screenLine);
    log.lines = [...log.lines, ...fresh].slice(-LOG_LINES);
  }

  private closeLog(): void {
    if (this.following) clearInterval(this.following);
    this.log?.files?.close();
    this.log = null;
  }

  /** Its size changes step by step while somebody drags a corner of it. */
  private redrawLater(): void {
    this.terminal.forget();
    this.later();
  }

  /**
   * As any program at ctrl-Z: the shell gets its terminal back until SIGCONT. Where no shell could
   * ever send that, the kernel does not stop us.
   */
  private suspend(): void {
    this.terminal.leave();
    process.removeAllListeners("SIGTSTP");
    libc.defaultSignal(SIGNALS.TSTP);
    libc.kill(0, SIGNALS.TSTP);
    setTimeout(() => this.resume(), PAUSE);
  }

  private resume(): void {
    process.removeAllListeners("SIGTSTP");
    process.on("SIGTSTP", () => this.suspend());
    this.terminal.enter();
    this.show();
  }
}
