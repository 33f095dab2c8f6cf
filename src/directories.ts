/** Where the services and their state are: the same rule in every program. */
import * as config from "../config.ts";
import { absolutePath, getenv } from "./bytes.ts";
import type { Options } from "./cli.ts";

/** SYSDIR and RUNDIR as absolute paths: from -d and -r, else the environment, else config.ts. */
export function directories(options: Options): { sysdir: string; rundir: string } {
  const pick = (option: string, variable: string, otherwise: string) =>
    absolutePath(options.value(option) ?? (getenv(variable) || otherwise));
  return {
    sysdir: pick("d", "SYSDIR", config.SYSDIR),
    rundir: pick("r", "RUNDIR", config.RUNDIR),
  };
}
