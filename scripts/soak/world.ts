// The directories of a soak and the services in them.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Value } from "./history.ts";
import { uptime } from "./proc.ts";
import { Random } from "./random.ts";
import { COMMON, KINDS, type Kind, script } from "./service.ts";
import type { Places } from "./supervisor.ts";

export interface Service {
  readonly name: string;
  readonly kind: Kind;
  readonly seed: number;
  /** Is it in SYSDIR? Changed by one client at a time. */
  present: boolean;
  busy: boolean;
  /** When it last left SYSDIR, and came back. */
  left: number;
  came: number;
  /** Until the next quiet point nobody asks anything of it. */
  calm: boolean;
}

/** Of a hundred services, so many are not in SYSDIR at the beginning. */
const ABSENT = 8;

export class World {
  readonly services: Service[];

  constructor(
    readonly places: Places,
    seed: number,
    n: number,
  ) {
    const random = new Random(seed, "services");
    this.services = Array.from({ length: n }, (_, i) => ({
      name: `s${String(i).padStart(3, "0")}`,
      kind: random.weighted(KINDS),
      seed: random.below(2 ** 31),
      present: false,
      busy: false,
      left: 0,
      came: 0,
      calm: false,
    }));
  }

  /** Puts most of them into SYSDIR. */
  fill(random: Random): void {
    for (const service of this.services) if (random.below(100) >= ABSENT) this.add(service);
  }

  static places(root: string, binary: string): Places {
    const places = {
      root,
      sysdir: join(root, "sys"),
      rundir: join(root, "run"),
      bin: join(root, "bin"),
      log: join(root, "log"),
    };
    for (const dir of [places.sysdir, places.bin, join(root, "last")])
      mkdirSync(dir, { recursive: true });
    // A copy: the one that is being worked on may be built again meanwhile.
    copyFileSync(binary, join(places.bin, "sysmgr"));
    chmodSync(join(places.bin, "sysmgr"), 0o755);
    symlinkSync("sysmgr", join(places.bin, "svctl"));
    writeFileSync(join(root, "common"), COMMON);
    return places;
  }

  entry({ name }: Service): string {
    return join(this.places.sysdir, name);
  }

  /** A path below RUNDIR/NAME. */
  file({ name }: Service, ...path: string[]): string {
    return join(this.places.rundir, name, ...path);
  }

  /** Puts it into SYSDIR in one step; an entry that is there is replaced. */
  add(service: Service): void {
    const { name, kind, seed } = service;
    const staged = join(this.places.sysdir, `.staged.${name}`);
    writeFileSync(staged, script(name, kind, seed, this.places.root), { mode: 0o755 });
    renameSync(staged, this.entry(service));
    if (!service.present) service.came = uptime();
    service.present = true;
  }

  remove(service: Service): void {
    service.left = uptime();
    service.present = false;
    rmSync(this.entry(service));
  }

  /** Was it out of SYSDIR, even for a moment, in that time or shortly before? */
  wasAway(service: Service, from: number, to: number): boolean {
    const recent = service.left > 0 && service.left <= to && service.came >= from - 3;
    return !service.present || recent;
  }

  marker(service: Service): Value {
    try {
      const text = readFileSync(this.file(service, "lock"), "latin1").trim();
      return text === "once" || text === "0" ? "once" : "down";
    } catch {
      return "up";
    }
  }

  status(service: Service): ReadonlyMap<string, string> {
    try {
      const lines = readFileSync(this.file(service, "status"), "latin1").split("\n");
      return new Map(lines.map((line) => split(line)));
    } catch {
      return new Map();
    }
  }

  /** What is in its drop box, acted on or not. */
  pending(service: Service): string[] {
    return list(this.file(service, "control"));
  }

  /** What RUNDIR knows of it but its stop marker. */
  known(service: Service): string[] {
    return list(this.file(service)).filter((file) => file !== "lock");
  }
}

export function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Also for what is no file. */
export function exists(path: string): boolean {
  return existsSync(path) || lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function split(line: string): [string, string] {
  const at = line.indexOf("=");
  return [line.slice(0, at), line.slice(at + 1)];
}
