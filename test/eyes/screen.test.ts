/** What keys do to svctl top, and what its screen looks like. */
import { describe, expect, test } from "bun:test";
import {
  type Action,
  initial,
  logPicture,
  ordered,
  picture,
  press,
  type State,
  scrolled,
} from "../../src/eyes/screen.ts";
import type { Row } from "../../src/eyes/table.ts";
import { keysIn } from "../../src/eyes/terminal.ts";
import { shown } from "../lib/shown.ts";

const size = { rows: 10, columns: 80 };

const rows: Row[] = Array.from({ length: 30 }, (_, i) => {
  const name = `s${String(i).padStart(2, "0")}`;
  return {
    shown: shown(name),
    name,
    age: 1_000,
    cpu: i,
    memory: 1,
    threads: 1,
    descriptors: () => 1,
    next: null,
  };
});

/** The state after some keys, and what they asked for. */
function type(keys: readonly string[], from: State = initial): { state: State; actions: Action[] } {
  let state = scrolled(from, ordered(from, rows), size);
  const actions: Action[] = [];
  for (const key of keys) {
    const [next, action] = press(state, key, ordered(state, rows), size);
    state = scrolled(next, ordered(next, rows), size);
    if (action) actions.push(action);
  }
  return { state, actions };
}

const frame = { size, clock: "12:00:00", colour: false };
const screen = (state: State) => picture(state, rows, ordered(state, rows), frame);

describe("moving", () => {
  test.each([
    [["down", "down", "j"], "s03"],
    [["down", "up", "k"], "s00"],
    [["page down"], "s07"],
    [["end"], "s29"],
    [["end", "page up"], "s22"],
    [["end", "down"], "s29"],
    [["G", "home"], "s00"],
  ])("%j", (keys, name) => {
    const { state } = type(keys);
    expect(state.selected).toBe(name);
    expect(screen(state).some((text) => text.startsWith(`\x1b[7m${name}`))).toBeTrue();
  });
});

describe("commands", () => {
  const command = (name: string) => ({ type: "command", name: "s01", command: name });
  test.each([
    [["s"], "up"],
    [["d", "y"], "down"],
    [["r", "y"], "restart"],
    [["x", ..."hup", "enter"], "hup"],
    [["x", ..."SIGSTOP", "enter"], "pause"],
    [["x", ..."kilx", "backspace", "l", "enter"], "kill"],
  ])("%j", (keys, name) => {
    expect(type(["down", ...keys]).actions).toEqual([command(name)] as Action[]);
  });

  test.each([[["d", "n"]], [["r", "enter"]], [["x", "enter"]], [["x", ..."hup", "escape"]]])(
    "%j asks for nothing",
    (keys) => expect(type(keys).actions).toEqual([]),
  );

  test("another signal is refused, with those that there are", () => {
    const { state, actions } = type(["x", ..."winch", "enter"]);
    expect(actions).toEqual([]);
    expect(screen(state).at(-1)).toStartWith("one of STOP CONT HUP");
  });
});

test("the filter acts as it is typed; Enter keeps it, Escape ends it", () => {
  const typed = type(["/", ..."s2"]).state;
  expect(ordered(typed, rows).length).toBe(10);
  expect(screen(typed).at(-1)).toBe("show only: s2_");
  const kept = type(["enter"], typed).state;
  expect([kept.filter, kept.question]).toEqual(["s2", null]);
  expect(type(["escape"], kept).state.filter).toBe("");
});

test("columns to sort by, one after the other, and backwards", () => {
  expect(type([">"]).state.sort).toBe("state");
  expect(type(["<"]).state.sort).toBe("exit");
  expect(ordered(type(["c"]).state, rows)[0]?.name).toBe("s29");
  expect(ordered(type(["c", "R"]).state, rows)[0]?.name).toBe("s00");
});

test("help, log and the ends", () => {
  const help = type(["?"]).state;
  expect(screen(help).join("\n")).toContain("restart it");
  expect(type(["x"], help).state.mode).toBe("table");
  const log = type(["l"]);
  expect([log.state.mode, ...log.actions]).toEqual(["log", { type: "log", name: "s00" }]);
  expect(type(["q"], log.state).actions).toEqual([{ type: "close log" }]);
  expect(type(["q", "interrupt", "suspend", "redraw"]).actions.map((a) => a.type)).toEqual([
    "quit",
    "quit",
    "suspend",
    "redraw",
  ]);
});

test.each([
  [1, 10],
  [3, 40],
  [10, 80],
  [24, 80],
  [60, 200],
])("%d rows of %d columns are never exceeded", (height, columns) => {
  const small = { size: { rows: height, columns }, clock: "12:00:00", colour: true };
  const states = [initial, type(["?"]).state, type(["/", ..."s1"]).state];
  const screens = [
    ...states.map((s) => picture(scrolled(s, rows, small.size), rows, ordered(s, rows), small)),
    logPicture(
      "log",
      Array.from({ length: 99 }, () => "x".repeat(500)),
      small,
      initial,
    ),
  ];
  for (const lines of screens) {
    expect(lines.length).toBeLessThanOrEqual(height);
    expect(lines.every((text) => Bun.stringWidth(text) <= columns)).toBeTrue();
  }
});

test("without colour there is none", () => {
  expect(screen(initial).join("")).not.toContain("\x1b[3");
  const coloured = picture(initial, rows, rows, { ...frame, colour: true });
  expect(coloured[2]).toContain("\x1b[32m up\x1b[0m");
});

test("what is typed, key by key", () => {
  expect(keysIn("ab\x1b[A\x1bOB\x1b[5~\r\x7f\x03\x1b")).toEqual(
    "a b up down page_up enter backspace interrupt escape"
      .split(" ")
      .map((k) => k.replace("_", " ")),
  );
  expect(keysIn("é日\u{1f600}")).toEqual(["é", "日", "\u{1f600}"]);
  expect(keysIn("\x1b[1;5C\x1b[200~\x01")).toEqual([]);
});
