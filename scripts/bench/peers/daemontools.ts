// daemontools: svscan, one supervise per service, svc, svstat.
import { join } from "node:path";
import { debianVersion, installed, type Peer, paths, stageDirectory } from "../peer.ts";

export const daemontools: Peer = {
  name: "daemontools",
  limit: 1000,
  interval: 5000,
  how: {
    control: "svc -d, svc -u (neither waits)",
    status: "svstat DIR/*, one invocation",
    new: "directory moved into place; svscan looks every 5 s, there is no command",
    shutdown: "kill svscan, then svc -dx DIR/* (svscan's SIGTERM stops nothing else)",
  },
  version: () =>
    installed("svscan", "supervise", "svc", "svstat") ? debianVersion("daemontools") : undefined,
  stage: (place, name) => stageDirectory(place, name),
  run: (place) => ["svscan", place.services],
  stop: (place, name) => ["svc", "-d", join(place.services, name)],
  start: (place, name) => ["svc", "-u", join(place.services, name)],
  status: (place, names) => ["svstat", ...paths(place, names)],
  shutdown: (place, names, pid) => [
    "/bin/sh",
    "-c",
    'kill "$0" && exec svc -dx "$@"',
    String(pid),
    ...paths(place, names),
  ],
};
