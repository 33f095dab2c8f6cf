/** Timestamps: the originals' formats, and an order that nothing spoils. */
import { describe, expect, test } from "bun:test";
import { LABEL, labelNow, STAMP, Stamp, writeLabel, writeUtc } from "../../src/log/label.ts";

function label(seconds: number, nanoseconds: number): string {
  const bytes = Buffer.alloc(LABEL);
  writeLabel(bytes, 0, seconds, nanoseconds);
  return bytes.toString("latin1");
}

describe("a label", () => {
  test.each([
    [935467445, 787492500, "@4000000037c219bf2ef02e94"],
    [-10, 0, "@400000000000000000000000"],
    [-11, 999_999_999, "@3fffffffffffffff3b9ac9ff"],
    [2 ** 32 - 10, 1, "@400000010000000000000001"],
    [2 ** 31, 0xabcdef, "@400000008000000a00abcdef"],
  ])("of %d s and %d ns", (seconds, nanoseconds, expected) => {
    expect(label(seconds, nanoseconds)).toBe(expected);
  });

  test("of now is between those of before and after", () => {
    const now = () => Math.floor(Date.now() / 1000);
    const before = label(now() - 1, 0);
    const found = labelNow();
    expect(found).toMatch(/^@[0-9a-f]{24}$/);
    expect(before < found && found < label(now() + 2, 0)).toBeTrue();
  });
});

test.each([
  [0, 0, "1970-01-01_00:00:00.00000"],
  [951827696, 123_456_789, "2000-02-29_12:34:56.12345"],
  [4102444799, 999_999_999, "2099-12-31_23:59:59.99999"],
])("UTC of %d s and %d ns", (seconds, nanoseconds, expected) => {
  const bytes = Buffer.alloc(LABEL);
  writeUtc(bytes, 0, seconds, nanoseconds, "_".charCodeAt(0));
  expect(bytes.toString("latin1")).toBe(expected);
});

describe("stamps", () => {
  const bytes = Buffer.from(new ArrayBuffer(2 * STAMP));
  const text = (at: number) => bytes.toString("latin1", at, at + STAMP);

  test("as labels are all different, and sort in the order of the lines", () => {
    const stamp = new Stamp(bytes, 0, "label");
    let last = "";
    for (let i = 0; i < 100_000; i++) {
      if (i % 100 === 0) stamp.take();
      else stamp.next();
      const found = text(0);
      if (!(found > last) || !/^@[0-9a-f]{24} $/.test(found)) {
        throw new Error(`${found} after ${last}`);
      }
      last = found;
    }
  });

  test.each(["underscore", "T"] as const)(
    "with an %s are the same for all lines of a read",
    (format) => {
      const stamp = new Stamp(bytes, 0, format);
      stamp.take();
      const found = text(0);
      stamp.next();
      expect(text(0)).toBe(found);
      expect(found).toMatch(/^\d{4}-\d\d-\d\d[_T]\d\d:\d\d:\d\d\.\d{5} $/);
    },
  );

  test("are copied in front of a line", () => {
    const stamp = new Stamp(bytes, 0, "label");
    stamp.take();
    stamp.before(2 * STAMP);
    expect(text(STAMP)).toBe(text(0));
  });
});
