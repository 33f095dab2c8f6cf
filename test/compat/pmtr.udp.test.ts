/** pmtr's datagrams: what is a command, and what a report holds. */
import { describe, expect, test } from "bun:test";
import { formatReport, parseCommand } from "../../src/compat/pmtr/datagrams.ts";
import { chooseSeed, Random } from "../unit/random.ts";

const bytes = (text: string) => Buffer.from(text, "latin1");

describe("commands", () => {
  test.each([
    ["enable abc", true, ["abc"]],
    ["disable abc\n", false, ["abc"]],
    ["disable abc def", false, ["abc", "def"]],
    ['enable "a b" c', true, ["a b", "c"]],
  ])("%j", (text, enable, names) => {
    expect(parseCommand(bytes(text))).toEqual({ enable, names });
  });

  test.each([
    "",
    "\n",
    "enable",
    "Enable abc",
    "restart abc",
    "enable abc\ndisable abc",
    'enable "abc',
    "enable a\0b",
    `enable ${"a".repeat(1_500)}`,
  ])("%j is none", (text) => {
    expect(parseCommand(bytes(text))).toBeNull();
  });

  const seed = chooseSeed();
  test(`random bytes do no harm (SEED=${seed})`, () => {
    const random = new Random(seed);
    for (let i = 0; i < 3_000; i++) {
      const verb = random.pick(["", "enable ", "disable "]);
      const command = parseCommand(bytes(verb + random.bytes(random.below(50))));
      if (command) expect([command.names.length > 0, verb !== ""]).toEqual([true, true]);
    }
  });
});

describe("reports", () => {
  const web = { name: "web", enabled: true, seconds: 12, pid: 812, program: "/usr/bin/web" };

  test("a line for the host, then one for each job", () => {
    const off = { name: "a b", enabled: false, seconds: 0, pid: 0, program: "/x" };
    expect(formatReport("host", null, [web, off])).toBe(
      'report host\nweb e 12 812 /usr/bin/web\n"a b" d 0 0 /x\n',
    );
  });

  test("with an interface, its address is told", () => {
    expect(formatReport("host", "10.0.0.1", [])).toBe("report host 10.0.0.1\n");
  });

  test("no more than a datagram holds, in whole lines", () => {
    const text = formatReport("host", null, Array(5_000).fill(web));
    expect(text.length).toBeLessThanOrEqual(65_000);
    expect(text).toEndWith("/usr/bin/web\n");
  });
});
