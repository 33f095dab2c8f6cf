/** Says what src/bytes.ts finds in this process. */
import { absolutePath, commandLine, environment, getenv } from "../../src/bytes.ts";

const found = {
  arguments: commandLine().slice(2),
  environment: environment(),
  odd: getenv("ODD") ?? null,
  here: absolutePath("a/../b//c/"),
};
console.log(JSON.stringify(found));
