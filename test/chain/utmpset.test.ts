/** utmpset: what it changes in the user accounting, as the original does. */
import { expect, test } from "bun:test";
import { ours, type Run, runIn, Workplaces } from "../lib/chain.ts";
import { exists, read, write } from "../lib/files.ts";
import { isRoot } from "../unit/scratch.ts";

/** A struct utmp of glibc on x86-64. */
function entry(type: number, line: string, user: string, host: string): string {
  const bytes = Buffer.alloc(384, 0);
  bytes.writeInt16LE(type, 0);
  bytes.writeInt32LE(1234, 4);
  bytes.write(line, 8, "latin1");
  bytes.write("id", 40, "latin1");
  bytes.write(user, 44, "latin1");
  bytes.write(host, 76, "latin1");
  bytes.writeInt32LE(55, 340);
  bytes.writeInt32LE(66, 344);
  bytes.fill("x", 348);
  return bytes.toString("latin1");
}

const LONGEST = "l".repeat(31);
const places = new Workplaces((directory) => {
  const entries = [
    entry(8, "tty1", "", ""),
    entry(7, "tty1", "ann", "host"),
    entry(7, "tty2", "joe", ""),
    entry(7, "tty1", "bob", "other"),
    entry(7, LONGEST, "eve", ""),
  ];
  write(`${directory}/utmp`, `${entries.join("")}half`);
  // Whole entries only: each has its time at the same place.
  write(`${directory}/wtmp`, entry(7, "tty9", "old", ""));
  // In a mount namespace of its own, so that the files of the system are not touched.
  write(
    `${directory}/accounting`,
    `mount -t tmpfs none /run && cp utmp /run/utmp && mount --bind wtmp /var/log/wtmp &&
     "$@"; code=$?; cp /run/utmp utmp; exit $code\n`,
  );
});

const separate = ["unshare", "-m", "sh", "accounting"];
const able =
  isRoot &&
  process.arch === "x64" &&
  exists("/var/log/wtmp") &&
  Bun.spawnSync(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"]).exitCode === 0;

/** Each entry with the seconds of its time as a word, if it is of now. */
function timeless(text: string | null): string[] {
  const bytes = Buffer.from(text ?? "", "latin1");
  const now = Date.now() / 1000;
  return Array.from({ length: Math.ceil(bytes.length / 384) }, (_, i) => {
    const part = bytes.subarray(384 * i, 384 * (i + 1));
    if (part.length < 384 || Math.abs(part.readInt32LE(340) - now) > 3600) {
      return part.toString("latin1");
    }
    return `${part.toString("latin1", 0, 340)}NOW${part.toString("latin1", 344)}`;
  });
}

const THEIRS = "/usr/sbin/utmpset";

test.skipIf(!able || !exists(THEIRS)).each([
  ["tty1", ""],
  ["tty1", ""],
  ["-w", "tty2"],
  ["-w", LONGEST],
  ["tty1", "more"],
  ["no-such-line", ""],
  ["-w", "no-such-line"],
  ["", ""],
  ["-x", ""],
  ["-wx", "tty2"],
  ["-w", ""],
])("utmpset %s %s", async (first, second) => {
  const args = second === "" ? [first] : [first, second];
  const run: Run = { args, wrapper: separate };
  const a = await runIn(places.ours, ours("utmpset"), run);
  const b = await runIn(places.theirs, THEIRS, run);
  // The original names itself as it was called.
  expect(a).toEqual({ ...b, err: b.err.replace(THEIRS, "utmpset") });
  for (const file of ["utmp", "wtmp"]) {
    const [left, right] = [places.ours, places.theirs].map((d) => timeless(read(`${d}/${file}`)));
    expect(left).toEqual(right ?? []);
  }
});

test("without utmp, or a line, says so", async () => {
  const { code, out } = await runIn(places.ours, ours("utmpset"), { args: ["--help"] });
  expect([code, out.split("\n")[0]]).toEqual([0, "usage: utmpset [-w] LINE"]);
  expect(await runIn(places.ours, ours("utmpset"), { args: [] })).toEqual({
    code: 1,
    out: "",
    err: "usage: utmpset [-w] line\n\n",
  });
});
