// runit: runsvdir, one runsv per service, sv.
import { join } from "node:path";
import { debianVersion, installed, type Peer, paths, stageDirectory } from "../peer.ts";

export const runit: Peer = {
  name: "runit",
  limit: 1000,
  interval: 5000,
  how: {
    control: "sv stop, sv start (both wait until it is so)",
    status: "sv status DIR/*, one invocation",
    new: "directory moved into place; runsvdir looks at least every 5 s, there is no command",
    shutdown: "SIGHUP (on SIGTERM runsvdir leaves its services alone)",
  },
  version: () => (installed("runsvdir", "runsv", "sv") ? debianVersion("runit") : undefined),
  stage: (place, name) => stageDirectory(place, name),
  run: (place) => ["runsvdir", place.services],
  stop: (place, name) => ["sv", "stop", join(place.services, name)],
  start: (place, name) => ["sv", "start", join(place.services, name)],
  status: (place, names) => ["sv", "status", ...paths(place, names)],
  shutdown: "SIGHUP",
};
