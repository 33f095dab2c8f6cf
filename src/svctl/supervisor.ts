/** What svctl can have the supervisor itself do. */
import { SHUTDOWN_END } from "../../config.ts";
import { Alarm } from "../alarm.ts";
import { Failure, type Options } from "../cli.ts";
import * as libc from "../libc.ts";
import { IN } from "../libc.ts";
import { Progress, waitingFor } from "../progress.ts";
import { type Request, type RunDir, SUPERVISOR, type SupervisorCommand } from "../rundir.ts";
import { formatAge } from "../transition.ts";

function ask(rundir: RunDir, command: SupervisorCommand, content = ""): Request {
  const request = rundir.request(SUPERVISOR, command, content);
  if (typeof request !== "number") return request;
  const path = rundir.requestPath(SUPERVISOR, command);
  throw new Failure(`cannot write ${path}: ${libc.strerror(request)}`);
}

/** Asks sysmgr to stop everything and to end, and waits until it is gone. */
export async function shutDown(
  rundir: RunDir,
  code: number,
  options: Options,
  timeout: number,
): Promise<number> {
  const alarm = new Alarm();
  alarm.watch("supervisor", rundir.watchPath("."), IN.DELETE);
  ask(rundir, "shutdown", `${code}\n`).close();
  if (options.has("n")) return 0;
  // A shutdown has a clock of its own.
  const longest = options.value("t") === undefined ? Math.max(timeout, SHUTDOWN_END) : timeout;
  const progress = new Progress(() => waitingFor(runningIn(rundir)), options.has("q"));
  if (await comesTrue(() => rundir.supervisor() === null, alarm, longest, progress)) return 0;
  throw new Failure(`sysmgr still runs after ${formatAge(longest)}`);
}

/** Waits until it is so; false when the time is over. */
async function comesTrue(
  isSo: () => boolean,
  alarm: Alarm,
  timeout: number,
  progress: Progress,
): Promise<boolean> {
  const deadline = performance.now() + timeout;
  let found = isSo();
  while (!found && (await alarm.ring(deadline))) found = isSo();
  progress.end();
  return found;
}

/** The services that run; then it is sysmgr itself that has to end. */
function runningIn(rundir: RunDir): string[] {
  const running = rundir
    .entries()
    .filter((name) => rundir.status(name)?.process)
    .sort();
  return running.length > 0 ? running : ["sysmgr"];
}

/** Asks sysmgr to become the binary on disk, and waits until it did or refused. */
export async function upgrade(rundir: RunDir, options: Options, timeout: number): Promise<number> {
  const before = rundir.supervisorMark();
  const request = ask(rundir, "upgrade");
  if (options.has("n")) return 0;
  const alarm = new Alarm();
  alarm.watch("upgrade", request.watchPath, IN.ATTRIB);
  const progress = new Progress(() => waitingFor(["sysmgr"]), options.has("q"));
  if (!(await comesTrue(() => request.isAnswered(), alarm, timeout, progress)))
    throw new Failure(`no answer after ${formatAge(timeout)}`);
  const after = rundir.supervisorMark();
  // Without any it has ended.
  if (after !== before && after !== "") return 0;
  throw new Failure("the upgrade was refused: sysmgr's messages say why");
}
