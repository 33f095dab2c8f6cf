/** svscanboot(8): svscan on /etc/service, with its last errors where ps(1) shows them. */
import { serviceFileLimits } from "../environment.ts";
import * as libc from "../libc.ts";
import { AT_FDCWD, O } from "../libc.ts";
import { askedForHelp } from "../log/arguments.ts";

export const usage = `usage: svscanboot

Run svscan /etc/service, with its messages in the arguments of readproctitle.

  -h, --help   print this, if it is the only argument
`;

const SERVICES = "/etc/service";
const PATH =
  "PATH=/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin";
const DOTS = 400;

/** The binary that we are. */
const SELF = "/proc/self/exe";

export function main(args: string[]): number {
  if (askedForHelp(args, usage)) return 0;
  const nothing = libc.openat(AT_FDCWD, "/dev/null", O.RDWR);
  for (const fd of [0, 1, 2]) libc.duplicateTo(nothing, fd);
  dismiss();
  const pipe = blockingPipe();
  if (!pipe) return 111;
  const pid = libc.spawn({
    path: SELF,
    argv: ["readproctitle", "service", "errors:", ".".repeat(DOTS)],
    env: new libc.Strings([PATH]),
    fds: [[pipe.read, 0]],
    limits: serviceFileLimits(null),
    umask: process.umask(),
    // It ends when nobody has the pipe open any more, not when svscan does.
    sameSession: true,
  });
  if (pid < 0) return 111;
  for (const fd of [1, 2]) libc.duplicateTo(pipe.write, fd);
  libc.execve(SELF, ["svscan", SERVICES], [PATH]);
  return 111;
}

/** Whoever supervises there now stops its service and goes. */
function dismiss(): void {
  const names = libc.readDirectory(SERVICES);
  for (const name of typeof names === "number" ? [] : names) {
    if (name.startsWith(".")) continue;
    for (const service of [name, `${name}/log`]) command(`${SERVICES}/${service}`, "dx");
  }
}

/** Writes letters to supervise/control, if anybody reads there. */
function command(service: string, letters: string): void {
  const flags = O.WRONLY | O.NONBLOCK | O.NOFOLLOW;
  const fd = libc.openat(AT_FDCWD, `${service}/supervise/control`, flags);
  if (fd < 0) return;
  const stat = libc.fstat(fd);
  if (typeof stat !== "number" && stat.isFifo) libc.writeText(fd, letters);
  libc.close(fd);
}

/** A pipe whose reader and writers wait, and that none but them inherits. */
function blockingPipe(): { read: number; write: number } | null {
  const pipe = libc.pipe();
  if (typeof pipe === "number") return null;
  const again = (fd: number, flags: number) => libc.openat(AT_FDCWD, `/proc/self/fd/${fd}`, flags);
  const [read, write] = [again(pipe.read, O.RDONLY), again(pipe.write, O.WRONLY)];
  libc.close(pipe.read);
  libc.close(pipe.write);
  return read < 0 || write < 0 ? null : { read, write };
}
