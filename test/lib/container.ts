/**
 * A container without an engine: namespaces, and a root that holds busybox, the binary, the
 * libraries that this needs, and nothing else. It is read-only, as engines can make it, but for
 * /run and /data.
 */
import { chmodSync, copyFileSync } from "node:fs";
import { dirname } from "../../src/bytes.ts";
import { exists, link, makeDirectory, place, read, touch, write } from "./files.ts";
import { children, kill } from "./processes.ts";
import { BIN, type Outcome, type Sandbox } from "./sandbox.ts";
import { have } from "./scenario.ts";
import { until } from "./until.ts";

/** A busybox that needs nothing around it, which is what Debian's busybox-static has. */
const busybox = Bun.which("busybox");
const isStatic = busybox !== null && libraries(busybox).length === 0;

/** Can one be made here? */
export const haveContainers = have.mounts && have.pidns && have.nsenter && isStatic;

export function hasApplet(name: string): boolean {
  if (!busybox) return false;
  return Bun.spawnSync([busybox, "--list"]).stdout.toString().split("\n").includes(name);
}

/** The files that the dynamic linker loads for a program, itself included; none: it is static. */
export function libraries(program: string): string[] {
  const { stdout } = Bun.spawnSync(["ldd", program]);
  return [...stdout.toString().matchAll(/(?:=> |^\t)(\/\S+)/gm)].flatMap(([, path]) => path ?? []);
}

/** What an engine's default gives, and what the scripts in a container call. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const APPLETS = "cat date echo env grep id kill ls mkdir setsid sh sleep test touch true wget";

/** Run as PID 1 to be: $1 is the root, $2 "UID:GID", $3 the options of /run, $4 "ro" or "rw". */
const SETUP = `set -e
root=$1 user=$2 run=$3 access=$4
shift 4
mount --bind "$root" "$root"
mount --bind '${BIN}' "$root/usr/local/bin"
mount -o remount,bind,ro "$root/usr/local/bin"
mount --bind /dev/null "$root/dev/null"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o "$run" tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/data"
mount -o "remount,bind,$access" "$root"
busybox ip link set lo up
exec chroot --userspec="$user" --groups= "$root" "$@"`;

export type Setting = {
  readonly uid?: number;
  /** How /run is mounted: what engines do, unless said otherwise. */
  readonly run?: string;
  readonly root?: "ro" | "rw";
  readonly env?: Readonly<Record<string, string>>;
};

export class Container {
  readonly root: string;
  private process: Bun.Subprocess | null = null;
  private uid = 0;

  constructor(private readonly box: Sandbox) {
    this.root = `${box.dir}/root`;
    for (const dir of [
      "bin",
      "sbin",
      "usr/local/bin",
      "dev",
      "proc",
      "run",
      "data",
      "var/sysmgr",
    ]) {
      makeDirectory(`${this.root}/${dir}`);
    }
    touch(`${this.root}/dev/null`);
    for (const path of [...libraries(`${BIN}/sysmgr`), ...(busybox ? [busybox] : [])]) {
      const to = path === busybox ? `${this.root}/bin/busybox` : this.root + path;
      makeDirectory(dirname(to));
      copyFileSync(path, to);
      chmodSync(to, 0o755);
    }
    for (const applet of APPLETS.split(" ")) link("busybox", `${this.root}/bin/${applet}`);
  }

  /** A program, or any other file, in it. */
  file(path: string, text: string, mode = 0o755): void {
    makeDirectory(dirname(`${this.root}${path}`));
    write(`${this.root}${path}`, text, mode);
  }

  /** A service that is a script. */
  service(name: string, body: string): void {
    place(`${this.root}/var/sysmgr/${name}`, `#!/bin/sh\n${body}\n`, 0o755);
  }

  /** A service, or several, from a directory of ours. */
  async copy(from: string, to: string): Promise<void> {
    await this.box.run(["cp", "-R", `${from}/.`, `${this.root}${to}`]);
  }

  /** Starts a command line as its PID 1. */
  start(command: readonly string[], setting: Setting = {}): void {
    const { uid = 0, run = "mode=1777,noexec,nosuid,nodev,size=16m", root = "ro" } = setting;
    this.uid = uid;
    const places = [this.root, `${uid}:${uid}`, run, root];
    this.process = Bun.spawn(
      ["unshare", "-fpmn", "--kill-child", "sh", "-c", SETUP, "sh", ...places, ...command],
      {
        env: { PATH, SANDBOX: this.box.dir, ...setting.env },
        cwd: "/",
        stdio: ["ignore", Bun.file(`${this.box.dir}/out`), Bun.file(`${this.box.dir}/err`)],
      },
    );
  }

  /** Its PID 1, as we see it. */
  async init(): Promise<number> {
    const find = () => {
      if (this.process?.exitCode != null) throw new Error(`it has ended: ${this.err}`);
      return children(this.process?.pid ?? 0)[0]?.pid;
    };
    return await until(find, "PID 1 is there");
  }

  get out(): string {
    return read(`${this.box.dir}/out`) ?? "";
  }

  get err(): string {
    return read(`${this.box.dir}/err`) ?? "";
  }

  async says(pattern: RegExp): Promise<void> {
    await until(() => pattern.test(this.out + this.err), `it says ${pattern}`).catch((error) => {
      throw new Error(`${error.message}; it says ${this.out}${this.err}`);
    });
  }

  /** Waits until sysmgr works in it. */
  async works(): Promise<void> {
    const init = await this.init();
    await until(() => exists(`/proc/${init}/root/run/sysmgr/pid`), "sysmgr works").catch(
      (error) => {
        throw new Error(`${error.message}; it says ${this.err}`);
      },
    );
  }

  /** Runs a command in it, as the same user, as `docker exec` and probes do. */
  async run(...command: string[]): Promise<Outcome> {
    const user = ["-S", `${this.uid}`, "-G", `${this.uid}`];
    const into = ["nsenter", "-t", `${await this.init()}`, "-m", "-p", "-n", "-r", "-w", ...user];
    return await this.box.run([...into, ...command], { env: { PATH, SYSDIR: "", RUNDIR: "" } });
  }

  async signal(name: NodeJS.Signals): Promise<void> {
    kill(await this.init(), name);
  }

  /** Waits until it has ended; resolves to the exit code that its engine would see. */
  async ended(): Promise<number> {
    await until(() => this.process?.exitCode != null, "the container ends").catch((error) => {
      throw new Error(`${error.message}; it says ${this.out}${this.err}`);
    });
    return (await this.process?.exited) ?? -1;
  }
}
