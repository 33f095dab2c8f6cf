/** softlimit: each limit, alone and with another, right and wrong. */
import { pairs, type Run, SHOW, sameAs, Workplaces } from "../lib/chain.ts";

/** Enough for a program to run. */
const values: Record<string, string> = {
  a: "200000000",
  c: "0",
  d: "150000000",
  f: "100000000",
  l: "65536",
  m: "180000000",
  o: "64",
  p: "5000",
  r: "77777777",
  s: "1000000",
  t: "100",
};

const letters = Object.keys(values);
const option = (letter: string, value = values[letter] ?? "") => [`-${letter}`, value];
const right = [
  ...letters.map((letter) => option(letter)),
  ...letters.map((letter) => option(letter, "=")),
  ...["o", "t", "c"].map((letter) => option(letter, "18446744073709551615")),
  ["-o100"],
  ["-o", "100", "-o", "200"],
  ["-m", "200000000", "-a", "="],
  ["-c", ""],
  ["-t", "0100"],
  ["-t100", "--"],
  ["-t100", "--anything"],
];
const wrong = [
  ["-o", "x"],
  ["-o", "1x"],
  ["-o", "-1"],
  ["-o", " 1"],
  ["-o", "=1"],
  ["-c", "1k"],
  ["-z"],
  ["-oz"],
  ["-t", "1", "-o", "x", "-z"],
  ["-t"],
];
const commands = [
  ...right.map((options) => [...options, ...SHOW]),
  ...pairs(letters.slice(0, 7)).map(([a, b]) => [...option(a), ...option(b, "="), ...SHOW]),
  ...wrong.map((options) => [...options, "true"]),
  ["-t"],
  ["-t", "1"],
  [],
  ["true"],
  ["no-such-program"],
  ["-f", "0", "no-such-program"],
  ["-a", "0", "no-such-program"],
  ["-m", "0", "no-such-program"],
  ["-o", "0", "no-such-program"],
  ["-s", "0", "no-such-program"],
];
sameAs("softlimit", new Workplaces(), [
  ...commands.map((args): Run => ({ args, user: "root" })),
  ...right.slice(0, 12).map((options): Run => ({ args: [...options, ...SHOW], user: "nobody" })),
]);
