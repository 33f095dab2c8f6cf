// Not a peer: the least that starting and ending N services can cost (see yardstick.c).
import { join } from "node:path";
import { installed, type Peer, stageFile } from "../peer.ts";

const source = join(import.meta.dir, "../yardstick.c");

export const yardstick: Peer = {
  name: "fork/exec loop (C)",
  yardstick: true,
  only: ["start", "idle", "memory", "shutdown"],
  how: {
    start: "yardstick: 60 lines of C that only fork, setsid, exec and wait",
    shutdown: "SIGTERM",
  },
  version: () => (installed("cc") ? "yardstick.c, cc -O2" : undefined),
  prepare(place) {
    const built = Bun.spawnSync(["cc", "-O2", "-o", join(place.state, "yardstick"), source]);
    if (!built.success) throw new Error(`cc: ${built.stderr.toString().trim()}`);
  },
  stage: stageFile,
  run: (place) => [join(place.state, "yardstick"), place.services],
  shutdown: "SIGTERM",
};
