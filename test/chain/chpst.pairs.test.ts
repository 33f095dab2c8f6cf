/** chpst: runit's options in pairs, as the original does. */
import {
  fillEnvironments,
  KINDS,
  pairs,
  type Run,
  SHOW,
  sameAs,
  Workplaces,
} from "../lib/chain.ts";

const rows = pairs(KINDS).flatMap(([a, b], i): Run[] => {
  const args = [...a, ...b, ...SHOW];
  const run: Run = { args, user: "root" };
  return i % 6 === 0 ? [run, { args, user: "nobody" }] : [run];
});
sameAs("chpst", new Workplaces(fillEnvironments), rows);
