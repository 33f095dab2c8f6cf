/** What `svctl top` shows and how keys change it, without a terminal: pure but for the clock. */
import type { Command } from "../rundir.ts";
import {
  condition,
  filterRows,
  fit,
  heading,
  layout,
  line,
  type Row,
  SORT_KEYS,
  type SortKey,
  sortRows,
  summary,
} from "./table.ts";

/** What the bottom line asks for. */
type Question = {
  readonly text: string;
  readonly answer: string;
  /** A key is the answer to the first kind, a line to the second; a filter acts as it is typed. */
  readonly kind: "confirm" | "signal" | "filter";
  readonly action: Action | null;
};

export type State = {
  readonly mode: "table" | "help" | "log";
  readonly sort: SortKey;
  readonly reverse: boolean;
  readonly filter: string;
  /** The service that the keys act on. */
  readonly selected: string | null;
  /** The first row that is shown. */
  readonly top: number;
  readonly question: Question | null;
  /** Of what was done, for the bottom line. */
  readonly message: string;
};

/** What a key asks of the world. */
export type Action =
  | { readonly type: "quit" | "suspend" | "redraw" | "close log" }
  | { readonly type: "log"; readonly name: string }
  | { readonly type: "command"; readonly name: string; readonly command: Command };

export type Size = { readonly rows: number; readonly columns: number };

export const initial: State = {
  mode: "table",
  sort: "name",
  reverse: false,
  filter: "",
  selected: null,
  top: 0,
  question: null,
  message: "",
};

/** Lines that are not rows of the table: the summary, the heading, the bottom line. */
const FRAME = 3;

export const HELP = `
  up, down, PgUp, PgDn, Home, End   (or k j b f g G)  choose a service
  s    start it                     d    stop it (down)
  r    restart it                   x    send it a signal
  l    follow its log               /    show only what has these words
  < >  sort by another column       R    in reverse order
  n c m p e   sort by name, CPU, memory, restarts, state
  ^L   draw the screen again        ^Z   suspend
  h ?  this help                    q    quit
`;

const SORTS: Readonly<Record<string, SortKey>> = {
  n: "name",
  c: "cpu",
  m: "memory",
  p: "restarts",
  e: "state",
};

// ---------------------------------------------------------------------- keys

/** The state after a key, and what is to be done. The rows are those of the table, in order. */
export function press(
  state: State,
  key: string,
  rows: readonly Row[],
  size: Size,
): [State, Action | null] {
  const quiet = { ...state, message: "" };
  if (key === "interrupt") return [quiet, { type: "quit" }];
  if (key === "suspend") return [quiet, { type: "suspend" }];
  if (key === "redraw") return [quiet, { type: "redraw" }];
  if (state.question) return answer(quiet, state.question, key);
  if (state.mode === "log") {
    const ends = key === "q" || key === "escape" || key === "l";
    return ends ? [{ ...quiet, mode: "table" }, { type: "close log" }] : [quiet, null];
  }
  if (state.mode === "help") return [{ ...quiet, mode: "table" }, null];
  return pressInTable(quiet, key, rows, size);
}

function pressInTable(
  state: State,
  key: string,
  rows: readonly Row[],
  size: Size,
): [State, Action | null] {
  const sort = SORTS[key];
  if (sort) return [{ ...state, sort, reverse: false }, null];
  const at = rows.findIndex((row) => row.shown.name === state.selected);
  const to = destination(key, Math.max(0, at), rows.length, Math.max(1, size.rows - FRAME));
  if (to !== null) return [{ ...state, selected: rows[to]?.shown.name ?? null }, null];
  const sorts = SORT_KEYS.indexOf(state.sort);
  const turn = (by: number): [State, null] => {
    const next = SORT_KEYS[(sorts + by + SORT_KEYS.length) % SORT_KEYS.length] ?? "name";
    return [{ ...state, sort: next, reverse: false }, null];
  };
  switch (key) {
    case "q":
      return [state, { type: "quit" }];
    case "h":
    case "?":
      return [{ ...state, mode: "help" }, null];
    case "<":
      return turn(-1);
    case ">":
      return turn(1);
    case "R":
      return [{ ...state, reverse: !state.reverse }, null];
    case "/":
      return [ask(state, "filter", "show only: ", state.filter, null), null];
    case "escape":
      return [{ ...state, filter: "" }, null];
  }
  const row = rows[Math.max(0, at)];
  return row ? pressOn(state, key, row) : [state, null];
}

/** Keys that act on the chosen service. */
function pressOn(state: State, key: string, { name: text, shown }: Row): [State, Action | null] {
  const { name } = shown;
  const command = (c: Command): Action => ({ type: "command", name, command: c });
  const chosen = { ...state, selected: name };
  switch (key) {
    case "s":
      return [chosen, command("up")];
    case "d":
      return [ask(chosen, "confirm", `stop ${text}? (y/n) `, "", command("down")), null];
    case "r":
      return [ask(chosen, "confirm", `restart ${text}? (y/n) `, "", command("restart")), null];
    case "x":
      return [ask(chosen, "signal", `signal for ${text}: `, "", command("term")), null];
    case "l":
    case "enter":
      return [
        { ...chosen, mode: "log" },
        { type: "log", name },
      ];
  }
  return [state, null];
}

function ask(
  state: State,
  kind: Question["kind"],
  text: string,
  answer: string,
  action: Action | null,
): State {
  return { ...state, question: { kind, text, answer, action } };
}

function destination(key: string, at: number, count: number, page: number): number | null {
  const last = Math.max(0, count - 1);
  const steps: Readonly<Record<string, number>> = {
    up: at - 1,
    k: at - 1,
    down: at + 1,
    j: at + 1,
    "page up": at - page,
    b: at - page,
    "page down": at + page,
    f: at + page,
    home: 0,
    g: 0,
    end: last,
    G: last,
  };
  const to = steps[key];
  return to === undefined ? null : Math.min(last, Math.max(0, to));
}

function answer(state: State, question: Question, key: string): [State, Action | null] {
  const done = { ...state, question: null };
  if (question.kind === "confirm") return [done, key === "y" ? question.action : null];
  if (key === "escape") {
    return [question.kind === "filter" ? { ...done, filter: "" } : done, null];
  }
  if (key === "enter") {
    const { action } = question;
    if (action?.type !== "command") return [done, null];
    return signalled(done, action.name, question.answer);
  }
  const text =
    key === "backspace"
      ? [...question.answer].slice(0, -1).join("")
      : question.answer + ([...key].length === 1 ? key : "");
  const asked = { ...state, question: { ...question, answer: text } };
  return [question.kind === "filter" ? { ...asked, filter: text } : asked, null];
}

/** What the drop box calls these signals. */
const SIGNALS: Readonly<Record<string, Command>> = {
  STOP: "pause",
  CONT: "cont",
  HUP: "hup",
  ALRM: "alarm",
  INT: "int",
  QUIT: "quit",
  TERM: "term",
  USR1: "usr1",
  USR2: "usr2",
  KILL: "kill",
};

function signalled(state: State, name: string, text: string): [State, Action | null] {
  const signal = text.trim().toUpperCase().replace(/^SIG/, "");
  if (signal === "") return [state, null];
  const command = Object.hasOwn(SIGNALS, signal) ? SIGNALS[signal] : undefined;
  if (command) return [state, { type: "command", name, command }];
  return [{ ...state, message: `one of ${Object.keys(SIGNALS).join(" ")}` }, null];
}

// -------------------------------------------------------------------- screen

/** What stands around the rows. */
export type Frame = { readonly size: Size; readonly clock: string; readonly colour: boolean };

/** The rows that the state lets through, in its order. */
export function ordered(state: State, rows: readonly Row[]): Row[] {
  return sortRows(filterRows(rows, state.filter), state.sort, state.reverse);
}

/** The first row to show so that the chosen one is seen. */
export function scrolled(state: State, rows: readonly Row[], { rows: height }: Size): State {
  const page = Math.max(1, height - FRAME);
  const at = Math.max(
    0,
    rows.findIndex((row) => row.shown.name === state.selected),
  );
  const most = Math.max(0, rows.length - page);
  const top = Math.min(most, at, Math.max(state.top, at - page + 1));
  const selected = rows[at]?.shown.name ?? null;
  return { ...state, top, selected };
}

const REVERSE = "\x1b[7m";
const DIM = "\x1b[2m";
const PLAIN = "\x1b[0m";
const COLOURS = { up: "\x1b[32m", between: "\x1b[33m", trouble: "\x1b[31m", idle: DIM };

/** The whole screen, line by line; none is wider than it. */
export function picture(
  state: State,
  all: readonly Row[],
  rows: readonly Row[],
  frame: Frame,
): string[] {
  const { rows: height, columns: width } = frame.size;
  const page = Math.max(1, height - FRAME);
  const head = fit(`${frame.clock}  ${summary(all)}`, width);
  if (state.mode === "help")
    return [head, ...HELP.split("\n").map((l) => fit(l, width))].slice(0, height);
  const shown = rows.slice(state.top, state.top + page);
  const wide = layout(rows, width);
  const body = shown.map((row) => {
    const text = line(row, wide, width);
    if (row.shown.name === state.selected) return `${REVERSE}${text.padEnd(width)}${PLAIN}`;
    return frame.colour ? coloured(text, row) : text;
  });
  const blank = Array.from({ length: Math.max(0, page - body.length) }, () => "");
  const title = `${REVERSE}${heading(wide, width, state.sort).padEnd(width)}${PLAIN}`;
  return [head, title, ...body, ...blank, bottom(state, width)].slice(0, height);
}

/** The word for its state is coloured; what is idle is dim. */
function coloured(text: string, row: Row): string {
  const how = condition(row);
  if (how === "idle") return `${DIM}${text}${PLAIN}`;
  const word = row.shown.status?.state ?? "";
  const at = text.indexOf(` ${word} `);
  if (at < 0) return text;
  const end = at + word.length + 1;
  return `${text.slice(0, at)}${COLOURS[how]}${text.slice(at, end)}${PLAIN}${text.slice(end)}`;
}

function bottom(state: State, width: number): string {
  if (state.question) return fit(`${state.question.text}${state.question.answer}_`, width);
  if (state.message !== "") return fit(state.message, width);
  const order = `by ${state.sort}${state.reverse ? ", reversed" : ""}`;
  const filter = state.filter === "" ? "" : `, only ${state.filter}`;
  const keys = "s start  d stop  r restart  x signal  l log  / filter  h help  q quit";
  return fit(`${order}${filter}  ${keys}`, width);
}

/** The end of a log instead. */
export function logPicture(
  title: string,
  lines: readonly string[],
  frame: Frame,
  state: State,
): string[] {
  const { rows: height, columns: width } = frame.size;
  const page = Math.max(1, height - 2);
  const body = lines.slice(-page).map((text) => fit(text, width));
  const blank = Array.from({ length: page - body.length }, () => "");
  const head = `${REVERSE}${fit(title, width).padEnd(width)}${PLAIN}`;
  const foot = state.message === "" ? "q back to the table" : state.message;
  return [head, ...body, ...blank, fit(foot, width)].slice(0, height);
}
