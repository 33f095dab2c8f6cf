/** chpst: runit's options, right and wrong, as the original does. */
import { mkdirSync } from "node:fs";
import {
  FILES,
  fillEnvironments,
  KINDS,
  type Run,
  SHOW,
  sameAs,
  Workplaces,
} from "../lib/chain.ts";

const places = new Workplaces((directory) => {
  fillEnvironments(directory);
  mkdirSync(`${directory}/root/bin`, { recursive: true });
});

const right = [
  ...KINDS,
  ["-u", "daemon:bin"],
  ["-u", "nobody:daemon:bin:sys"],
  ["-u", ":65534:65534"],
  ["-u", ":0:"],
  ["-u", "::"],
  ["-u", ":4294967297:1"],
  ["-U", "nobody:daemon"],
  ["-U", ":5:6:7"],
  ["-unobody"],
  ["-e", "empty"],
  ["-e", "dangling"],
  ["-e", "directory"],
  ["-ve", "directory"],
  ["-n", "-3"],
  ["-n", "+2"],
  ["-n", "100"],
  ["-n", "-100"],
  ["-n", ""],
  ["-n", "0"],
  ["-L", "lock"],
  ["-o", ""],
  ["-o", "18446744073709551615"],
  ["-o", "18446744073709551614"],
  ["-o", "18446744073709551680"],
  ["-o", "9223372036854775807"],
  ["-m", "180000000", "-d", "150000000"],
  ["-d", "150000000", "-m", "180000000"],
  ["-2"],
  ["-P0"],
  ["-c0", "-t100"],
  ["--"],
  [],
];

const wrong = [
  ["-u", "no-such-account"],
  ["-u", "nobody:no-such-group"],
  ["-u", "nobody:"],
  ["-u", ""],
  ["-u", ":"],
  ["-u", ":1"],
  ["-u", ":x:1"],
  ["-u", ":1:2:x"],
  ["-u", "0"],
  ["-U", "no-such-account"],
  ["-U", ":"],
  ["-e", "nowhere"],
  ["-e", "file"],
  ["-e", "loop"],
  ["-e", "private"],
  ["-e", ""],
  ["-/", "nowhere"],
  ["-/", ""],
  ["-/", "file"],
  ["-/", "root"],
  ["-n", "x"],
  ["-n", "-"],
  ["-n", "1x"],
  ["-n", "--1"],
  ["-l", "nowhere/lock"],
  ["-L", "env"],
  ["-l", "lock", "-L", "lock"],
  ["-m", "x"],
  ["-d", "1x"],
  ["-o", "-1"],
  ["-p", "="],
  ["-f", " 1"],
  ["-c", "x", "-Z"],
  ["-Z"],
  ["-vZ"],
  ["-:"],
  ["-"],
];

const commands: Run[] = [
  ...right.map((options) => ({ args: [...options, ...SHOW] })),
  ...["-l", "-L"].map((option) => ({ args: [option, "lock", ...FILES] })),
  ...["-0", "-2", "-0P2"].map((option) => ({ args: [option, ...FILES] })),
  ...["-0", "-02"].map((option) => ({ args: [option, "-l", "lock", ...FILES] })),
  ...wrong.map((options) => ({ args: [...options, "true"] })),
  ...wrong.map((options, i) => ({ args: [...(KINDS[i % 8] ?? []), ...options, "true"] })),
  ...wrong
    .filter((_, i) => i % 2 === 0)
    .map((options, i) => ({ args: [...options, ...(wrong[2 * i + 7] ?? []), "true"] })),
  ...["u", "U", "e", "/", "n", "l", "m", "o"].map((letter) => ({ args: [`-${letter}`] })),
  { args: [] },
  { args: ["no-such-program"] },
  { args: ["-b", "zero", "no-such-program"] },
  { args: ["-1", "no-such-program"] },
  { args: ["-2", "no-such-program"] },
  { args: ["./env"] },
  { args: ["./file"] },
  { args: [""] },
  { args: ["-m", "0", "no-such-program"] },
  { args: ["-o", "0", "no-such-program"] },
  { args: ["-1", "cat", "/etc/passwd"] },
];
const nobodys: Run[] = [
  ...right.map((options) => ({ args: [...options, ...SHOW] })),
  ...wrong.map((options) => ({ args: [...options, "true"] })),
];

sameAs("chpst", places, [
  ...commands.map((run): Run => ({ ...run, user: "root" })),
  ...nobodys.map((run): Run => ({ ...run, user: "nobody" })),
]);
