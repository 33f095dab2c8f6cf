// pmtr, if it is on PATH: one configuration file, watched by inotify, and no control tool.
// It is not packaged; written from its guide.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { installed, type Peer, type Place, writeScript } from "../peer.ts";

const conf = (place: Place): string => join(place.state, "pmtr.conf");

export const pmtr: Peer = {
  name: "pmtr",
  minUptime: 10_200, // a job that lived less than 10 s waits 10 s
  how: {
    control: "none: a job is stopped by editing pmtr.conf",
    status: "none",
    new: "job appended to pmtr.conf, which it watches",
    kill: "after 10 s up: it delays younger jobs on purpose",
    shutdown: "SIGTERM",
  },
  version: () => (installed("pmtr") ? "version unknown" : undefined),
  stage(place, name) {
    const script = join(place.state, name);
    writeScript(script, place, name);
    return () => {
      appendFileSync(conf(place), `job {\n  name ${name}\n  cmd ${script}\n}\n`);
      return undefined;
    };
  },
  run: (place) => ["pmtr", "-F", "-c", conf(place), "-p", join(place.state, "pid")],
  shutdown: "SIGTERM",
};
