/** Patterns: what the man pages say, and that no pattern takes long. */
import { describe, expect, test } from "bun:test";
import { matches, pattern } from "../../src/log/pattern.ts";
import { raw } from "../lib/files.ts";

const match = (text: string, line: string, plus: boolean) =>
  matches(pattern(text), raw(line), 0, line.length, plus);

describe("in both programs", () => {
  test.each([
    ["hello", "hello", true],
    ["hello", "hello world", false],
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["*", "anything", true],
    ["named[*]: Cleaned cache *", "named[135]: Cleaned cache of 3121 RRs", true],
    ["named[*]: Cleaned cache *", "named[1]35]: Cleaned cache of 3121 RRs", false],
    ["*pid*", "2005-12-18_09:13:50.97618 tcpsvd: info: pid 1977 from 10.4.1.14", false],
    ["*: *: pid *", "tcpsvd: info: pid 1977 from 10.4.1.14", true],
    ["**", "a*", true],
    ["**", "a", false],
    ["a*b", "ab", true],
    ["a*b", "abb", false],
    ["\xe9*\0", "\xe9\xff\0", true],
  ])("%j on %j: %p", (text, line, expected) => {
    expect([match(text, line, false), match(text, line, true)]).toEqual([expected, expected]);
  });

  test("only the bytes between the two places count", () => {
    expect(matches(pattern("b"), raw("abc"), 1, 2)).toBeTrue();
    expect(matches(pattern("b*c"), raw("abbc"), 1, 3)).toBeFalse();
  });

  test("10,000 stars and a long line are no more work than their lengths", () => {
    const line = "a".repeat(1 << 20);
    const stars = "*a".repeat(10_000);
    for (let i = 0; i < 20; i++) {
      expect(match(`${stars}b`, line, true)).toBeFalse();
      expect(match("*".repeat(10_000), line, true)).toBeFalse();
      expect(match(`${stars}*`, line, true)).toBeTrue();
    }
  });
});

describe("a plus", () => {
  test.each([
    ["+a", "a", true],
    ["+a", "aaa", true],
    ["+a", "", false],
    ["+ab", "aab", true],
    ["+ab", "aac", false],
    ["+a+b", "aabb", true],
    ["+a+b", "aa", true], // as the original has it
    ["+", "", false],
    ["a+", "a", false],
    ["++", "++", true],
  ])("%j on %j: %p", (text, line, expected) => {
    expect(match(text, line, true)).toBe(expected);
  });

  test("is itself in multilog", () => {
    expect(match("+a", "+a", false)).toBeTrue();
    expect(match("+a", "aa", false)).toBeFalse();
  });
});
