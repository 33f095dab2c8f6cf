/** tai64n, tai64nlocal and readproctitle beside the originals. */
import { describe, expect, test } from "bun:test";
import { inputs, masked, programs, run } from "../lib/logger.ts";
import { Random } from "../unit/random.ts";
import { scratchDirectory } from "../unit/scratch.ts";

const cwd = scratchDirectory();

/** Labels of all kinds of times before lines; only those that do not crash the original. */
function labelled(): string {
  const random = new Random(3);
  const hex = (length: number) => random.bytes(length, "0123456789abcdef");
  const ends = [" ", "", ".", "Z", "\xff", "  two words"];
  return Array.from({ length: 500 }, (_, i) => {
    return `@400000${hex(2)}${hex(16)}${ends[i % ends.length]}${i % 3 ? "" : hex(i % 80)}\n`;
  })
    .map((line) => line.replace(/^(@[0-9a-f]{24})[0-9a-f]+/, "$1"))
    .join("");
}

describe.skipIf(!programs("tai64n").theirs)("tai64n does as the original", () => {
  test.each(Object.keys(inputs))("with %s", async (name) => {
    const { ours, theirs } = programs("tai64n");
    const input = inputs[name] ?? "";
    const [a, b] = [
      await run([ours], { input, cwd }),
      await run([theirs ?? "", "x"], { input, cwd }),
    ];
    expect({ ...a, out: masked(a.out) }).toEqual({ ...b, out: masked(b.out) });
  });
});

describe.skipIf(!programs("tai64nlocal").theirs)("tai64nlocal does as the original", () => {
  const { ours, theirs } = programs("tai64nlocal");
  const zones = ["UTC", "Europe/Berlin", "America/St_Johns", "right/US/Pacific", "XXX-3:30", ""];

  test.each(zones)("in the zone %j", async (TZ) => {
    const options = { input: labelled(), cwd, env: { TZ } };
    expect(await run([ours], options)).toEqual(await run([theirs ?? ""], options));
  });

  test.each(Object.keys(inputs))("with %s", async (name) => {
    const options = { input: inputs[name] ?? "", cwd };
    expect(await run([ours], options)).toEqual(await run([theirs ?? ""], options));
  });

  test("with labels between other lines", async () => {
    const input =
      "x\n@4000000037c219bf2ef02e94 mark\n @4000000037c219bf2ef02e94\n@4000000037c219bf2ef02e94\nend";
    expect(await run([ours], { input, cwd })).toEqual(await run([theirs ?? ""], { input, cwd }));
  });
});

describe.skipIf(!programs("readproctitle").theirs)("readproctitle does as the original", () => {
  const { ours, theirs } = programs("readproctitle");
  test.each([[[]], [["...."]], [["a", "...."]], [["....."]], [["a", "b", "word1"]]])(
    "with %j",
    async (args) => {
      const options = { input: "some\0thing\n", cwd };
      expect(await run([ours, ...args], options)).toEqual(
        await run([theirs ?? "", ...args], options),
      );
    },
  );
});
