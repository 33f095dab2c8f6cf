/** What sv takes for commands. */
import { expect, test } from "bun:test";
import { parseAction } from "../../src/compat/words.ts";
import { LETTERS } from "../../src/letters.ts";

const of = (word: string, asScript = false) => {
  const action = parseAction(word, asScript);
  return action && `${action.letters}${action.waits ? "+" : ""}${action.kills ? "!" : ""}`;
};

test.each([
  ["up", "u"],
  ["down", "d"],
  ["once", "o"],
  ["usr1", "u"],
  ["1", "1"],
  ["exit", "x"],
  ["x", "x"],
  ["checks", "c"],
  ["check", "C+"],
  ["status", "s"],
  ["stat", "s"],
  ["start", "u+"],
  ["starting", "s"],
  ["stop", "d+"],
  ["restart", "tcu+"],
  ["try-restart", "tc+"],
  ["try", "t"],
  ["reload", "h+"],
  ["shutdown", "x+"],
  ["force-stop", "d+!"],
  ["force-reload", "tc+!"],
  ["force-restart", "tcu+!"],
  ["force-shutdown", "x+!"],
  ["D", "d+!"],
  ["Doing", "d+!"],
  ["T", "tc+!"],
  ["X", "x+!"],
  ["E", "x+!"],
])("%s is %s", (word, letters) => {
  expect(of(word)).toBe(letters);
});

test.each(["", "-", "restarts", "force", "ready", "b", "U", "0", "3", "__proto__"])(
  "%p is nothing",
  (word) => {
    expect(of(word)).toBeNull();
  },
);

test("an init script knows `status` by its whole name only", () => {
  expect([of("status", true), of("stat", true), of("s", true)]).toEqual(["s", null, null]);
  expect([of("start", true), of("u", true)]).toEqual(["u+", "u"]);
});

test("every letter that is sent is a command", () => {
  const words = [..."udopchaiqtk12", "restart", "force-reload"];
  const letters = words.flatMap((word) => [...(parseAction(word, false)?.letters ?? "?")]);
  expect(letters.filter((letter) => LETTERS[letter] === undefined)).toEqual([]);
});
