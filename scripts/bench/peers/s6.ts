// s6: s6-svscan, one s6-supervise per service, s6-svc, s6-svstat.
import { join } from "node:path";
import { debianVersion, installed, type Peer, paths, stageDirectory } from "../peer.ts";

/** Above what any run here needs; s6-svscan sizes its tables by it (default 500). */
const MAX_SERVICES = "1200";

export const s6: Peer = {
  name: "s6",
  how: {
    control: "s6-svc -d, s6-svc -u (neither waits)",
    status: "s6-svstat, which takes one service: a sh loop, one invocation each",
    new: "directory moved into place, then s6-svscanctl -a (it never looks by itself)",
    shutdown: "SIGTERM",
  },
  version: () =>
    installed("s6-svscan", "s6-supervise", "s6-svc", "s6-svstat", "s6-svscanctl")
      ? debianVersion("s6")
      : undefined,
  stage: (place, name) => stageDirectory(place, name, ["s6-svscanctl", "-a", place.services]),
  run: (place) => ["s6-svscan", "-c", MAX_SERVICES, place.services],
  runByDefault: (place) => ["s6-svscan", place.services],
  stop: (place, name) => ["s6-svc", "-d", join(place.services, name)],
  start: (place, name) => ["s6-svc", "-u", join(place.services, name)],
  status: (place, names) => [
    "/bin/sh",
    "-c",
    'for service do s6-svstat "$service"; done',
    "sh",
    ...paths(place, names),
  ],
  shutdown: "SIGTERM",
};
