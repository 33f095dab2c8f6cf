/** show-environment.ts [-d SYSDIR] [-r RUNDIR]: what a program of ours finds around it. */
import { parseOptions } from "../../src/cli.ts";
import { directories } from "../../src/directories.ts";
import {
  cleanEnvironment,
  ownPath,
  readHandover,
  serviceFileLimits,
} from "../../src/environment.ts";

const found = {
  clean: cleanEnvironment(),
  handover: readHandover(),
  own: ownPath(),
  limits: [null, 50, 1e9].map(serviceFileLimits),
  directories: directories(parseOptions(process.argv.slice(2), { string: ["d", "r"] })),
};
console.log(JSON.stringify(found));
