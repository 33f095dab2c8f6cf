/** procmgr.cfg: what is read, what wins, and what is told. */
import { expect, test } from "bun:test";
import { ACTIONS, type Program, parseConfig } from "../../src/compat/procmgr/config.ts";

function read(...lines: string[]) {
  return parseConfig(lines.join("\n"));
}

function program(...lines: string[]): Program {
  const { config, problems } = read(...lines);
  expect(problems).toEqual([]);
  const found = [...config.programs.values()].at(-1);
  if (!found) throw new Error("no program");
  return found;
}

test("an empty file has defaults and no programs", () => {
  expect(read("")).toEqual({
    config: { socket: "/run/procmgr", doAutostart: null, programs: new Map() },
    problems: [],
  });
});

test("the manual's example", () => {
  const { config, problems } = read(
    "socket-path = /var/local/procmgr-local",
    "# a comment",
    "allow-gid = 99",
    "",
    "    # another one",
    "[prog-game-server]",
    "allow-uid = 1000",
    "cmd-start = exec /home/johndoe/bin/game.server",
    "cmd-reload = kill -HUP $PID",
  );
  const game = config.programs.get("game-server");
  expect([config.socket, problems]).toEqual(["/var/local/procmgr-local", []]);
  expect(game?.commands).toEqual({
    start: "exec /home/johndoe/bin/game.server",
    reload: "kill -HUP $PID",
  });
  for (const action of ACTIONS) expect(game?.allowed[action]).toEqual({ uid: 1000, gid: 99 });
  expect(game?.restartDelay).toBeNull();
});

test("every key, in any order and spacing", () => {
  const found = program(
    "do-autostart=boot",
    "[ prog-x ]",
    "restart-delay=5",
    "cmd-stop  =  a = b # no comment",
    "sgid-stop = 8",
    "default-sgid = 9",
    "default-suid = 7",
    "suid-start=none",
    "autostart = one two,three",
    "cwd = /srv",
    "uid-stop = 3",
    "gid-stop = 4",
  );
  expect(found).toMatchObject({
    name: "x",
    commands: { stop: "a = b # no comment" },
    restartDelay: 5,
    cwd: "/srv",
    autostart: ["one", "two", "three"],
  });
  expect(found.allowed.stop).toEqual({ uid: 3, gid: 4 });
  expect(found.allowed.start).toEqual({ uid: null, gid: null });
  expect(found.runAs.stop).toEqual({ uid: 7, gid: 8 });
  expect(found.runAs.start).toEqual({ uid: null, gid: 9 });
});

test("the last value and the last section of a name are the ones that count", () => {
  const found = program(
    "allow-uid = 1",
    "allow-uid = 2",
    "[prog-x]",
    "cmd-start = lost",
    "allow-gid = wrong, but lost",
    "[prog-y]",
    "[prog-x]",
    "cmd-signal = first",
    "cmd-signal = last",
  );
  expect(found.commands).toEqual({ signal: "last" });
  expect(found.allowed.start).toEqual({ uid: 2, gid: null });
});

test("none, and what is below 0, is nobody and never", () => {
  for (const word of ["none", "-1", "-7"]) {
    const found = program(
      "allow-uid = 5",
      "[prog-x]",
      `allow-uid = ${word}`,
      `restart-delay = ${word}`,
    );
    expect([word, found.allowed.stop.uid, found.restartDelay]).toEqual([word, null, null]);
  }
  expect(program("[prog-x]", "restart-delay = 0").restartDelay).toBeNull();
});

test("a value after a section is of that section, not global", () => {
  const { config, problems } = read("[prog-x]", "allow-uid = 5", "[prog-y]", "do-autostart = x");
  expect(config.doAutostart).toBeNull();
  expect(config.programs.get("y")?.allowed.start.uid).toBeNull();
  expect(problems).toEqual([{ line: 4, text: "do-autostart: unknown in [prog-y]", fatal: false }]);
});

test.each([
  ["rubbish", "not understood: rubbish", true],
  ["[half", "not understood: [half", true],
  ["= 5", "not understood: = 5", true],
  ["socket-path = relative", "socket-path: not an absolute path", true],
  ["allow-uid = bob", "allow-uid: neither a number nor none: bob", true],
  ["allow-uid = 4294967295", "allow-uid: neither a number nor none: 4294967295", true],
  ["allow-gid = 1.5", "allow-gid: neither a number nor none: 1.5", true],
  ["allow-gid =", "allow-gid: neither a number nor none: ", true],
  ["allow_uid = 5", "allow_uid: unknown before the first section", false],
  ["[prog-]", "unknown section [prog-]", false],
  ["[x]", "unknown section [x]", false],
  ["[prog-x]\ncmd-dance = x", "cmd-dance: unknown in [prog-x]", false],
  ["[prog-x]\ncwd = relative", "cwd: not an absolute path", true],
  ["[prog-x]\nrestart-delay = soon", "restart-delay: neither a number nor none: soon", true],
  ["[prog-x]\ncmd-start = a\0b", "a NUL byte", true],
])("%j is told with its line", (text, told, fatal) => {
  const line = text.split("\n").length;
  expect(read("# first", text).problems).toEqual([{ line: line + 1, text: told, fatal }]);
});

test("any bytes are read without an exception", () => {
  let seed = 1;
  const next = () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31);
  const pieces = [
    "[",
    "]",
    "prog-",
    "=",
    "\n",
    "allow-uid",
    "-1",
    "none",
    " ",
    "#",
    "\0",
    "\xff",
    "cmd-start",
    "x",
  ];
  for (let i = 0; i < 2000; i++) {
    const text = Array.from({ length: 30 }, () => pieces[next() % pieces.length]).join("");
    expect(parseConfig(text).config.programs).toBeInstanceOf(Map);
  }
});
