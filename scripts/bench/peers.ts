// Who is measured. We come first; whoever is not installed is left out.
import type { Peer } from "./peer.ts";
import { daemontools } from "./peers/daemontools.ts";
import { pmtr } from "./peers/pmtr.ts";
import { runit } from "./peers/runit.ts";
import { s6 } from "./peers/s6.ts";
import { supervisord } from "./peers/supervisord.ts";
import { sysmgr } from "./peers/sysmgr.ts";
import { sysmgrC } from "./peers/sysmgr-c.ts";
import { yardstick } from "./peers/yardstick.ts";

export const OURS = sysmgr;

export const PEERS: readonly Peer[] = [
  sysmgr,
  runit,
  daemontools,
  s6,
  supervisord,
  sysmgrC,
  pmtr,
  yardstick,
];
