// We: build/bin/sysmgr, as `make` leaves it.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Peer, type Place, stageFile } from "../peer.ts";

const bin = resolve(import.meta.dir, "../../../build/bin");
const where = (place: Place): string[] => ["-d", place.services, "-r", join(place.state, "run")];
const svctl = (place: Place, ...rest: string[]): string[] => [
  join(bin, "svctl"),
  ...where(place),
  ...rest,
];

export const sysmgr: Peer = {
  name: "sysmgr",
  how: {
    control: "svctl stop, svctl start (both wait until it is so)",
    status: "svctl status",
    new: "executable file moved into SYSDIR; no command",
    shutdown: "SIGTERM",
  },
  version() {
    const program = join(bin, "sysmgr");
    if (!existsSync(program) || !existsSync(join(bin, "svctl"))) return undefined;
    const asked = Bun.spawnSync([program, "-V"], { stderr: "ignore" });
    return asked.success
      ? asked.stdout
          .toString()
          .trim()
          .replace(/^sysmgr\s+/, "")
      : "unknown";
  },
  stage: stageFile,
  run: (place) => [join(bin, "sysmgr"), "-q", ...where(place)],
  stop: (place, name) => svctl(place, "stop", name),
  start: (place, name) => svctl(place, "start", name),
  status: (place) => svctl(place, "status"),
  shutdown: "SIGTERM",
};
