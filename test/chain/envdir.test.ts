/** envdir: what it makes of directories, as the original does. */
import { FILES, fillEnvironments, type Run, SHOW, sameAs, Workplaces } from "../lib/chain.ts";

const places = new Workplaces(fillEnvironments);

const commands = [
  ["env", ...SHOW],
  ["env", "cat", ...SHOW.slice(1)],
  ["empty", ...SHOW],
  ["dangling", ...SHOW],
  ["env", ...FILES],
  ["file", "true"],
  ["nowhere", "true"],
  ["directory", "true"],
  ["loop", "true"],
  ["private", "true"],
  ["env", "no-such-program"],
  ["env", "./file"],
  ["env", "./env"],
  ["env", ""],
  ["", "true"],
  ["env"],
  [],
];

const rows = commands.flatMap((args): Run[] => [
  { args, user: "root" },
  { args, user: "nobody" },
]);
sameAs("envdir", places, [
  ...rows,
  { args: ["env", "env"], env: { ONE: "0", BLANKS: "", A: "x", NOT_SET: "y" } },
  { args: ["env", "env", "-0"], env: { PATH: "" } },
  { args: ["env", "true"], env: { PATH: "/etc/passwd:/usr/bin" } },
  { args: ["env", "true"], env: { PATH: "/root:/nowhere:/usr/bin" } },
]);
