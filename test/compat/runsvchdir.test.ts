/** runsvchdir: what runsvdir looks at is another directory now. In a mount namespace of its own. */
import { expect } from "bun:test";
import { readlinkSync } from "node:fs";
import { exists, link, list, makeDirectory, place } from "../lib/files.ts";
import { printsUsage } from "../lib/frontends.ts";
import { BIN, type Sandbox } from "../lib/sandbox.ts";
import { have, scenario } from "../lib/scenario.ts";

const THEIRS = "/usr/sbin/runsvchdir";
const PLACE = "/etc/runit/runsvdir";
const can = have.mounts && exists(PLACE) && exists(THEIRS);

/** Directories default and single, current being a link to one of them, and what else is given. */
function directories(box: Sandbox, name: string, prepare: Prepare): string {
  const dir = `${box.dir}/${name}`;
  for (const sub of ["default", "single"]) makeDirectory(`${dir}/${sub}`);
  link("default", `${dir}/current`);
  prepare(dir);
  return dir;
}

/** What it says, and what is in the directory afterwards. */
async function outcome(box: Sandbox, program: string, dir: string, args: readonly string[]) {
  const script = `mount --bind "$0" ${PLACE} && exec "$@"`;
  const command = ["unshare", "-m", "sh", "-c", script, dir, program, ...args];
  const { code, out, err } = await box.run(command);
  const entries = list(dir)
    .sort()
    .map((name) => {
      try {
        return `${name} -> ${readlinkSync(`${dir}/${name}`)}`;
      } catch {
        return name;
      }
    });
  return { code, out, err: err.replaceAll(program, "runsvchdir"), entries };
}

type Prepare = (dir: string) => void;

const ROWS: readonly (readonly [args: readonly string[], given?: string, prepare?: Prepare])[] = [
  [["single"]],
  [["default"]],
  [[`${PLACE}/single`]],
  [[`${PLACE}/default`]],
  [["nowhere"]],
  [["/nowhere"]],
  [[".single"]],
  [["./single"]],
  [["current"]],
  [[""]],
  [[]],
  [["single", "default"]],
  [["file"], "a file", (dir) => place(`${dir}/file`, "")],
  [["single"], "an old current.new", (dir) => link("elsewhere", `${dir}/current.new`)],
  [["single"], "a directory current.new", (dir) => makeDirectory(`${dir}/current.new`)],
  [["single"], "an old previous", (dir) => link("elsewhere", `${dir}/previous`)],
  [["single"], "a directory previous", (dir) => makeDirectory(`${dir}/previous/full`)],
];

for (const [args, given, prepare = () => {}] of ROWS) {
  const name = `${JSON.stringify(args)}${given ? `, given ${given},` : ""} does as Debian's does`;
  scenario(
    name,
    async (box) => {
      const theirs = await outcome(box, THEIRS, directories(box, "theirs", prepare), args);
      const ours = await outcome(box, `${BIN}/runsvchdir`, directories(box, "ours", prepare), args);
      // Debian's forgets the colon.
      const err = theirs.err.replace("filenot a directory.", "file: not a directory");
      expect(ours).toEqual({ ...theirs, err });
    },
    can,
  );
}

printsUsage("runsvchdir", "runsvchdir DIR");
