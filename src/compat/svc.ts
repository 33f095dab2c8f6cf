/** svc(8): daemontools' control of services, as a client of the file protocol. */
import { Alarm } from "../alarm.ts";
import { err } from "../cli.ts";
import { LETTERS } from "../letters.ts";
import { E } from "../libc.ts";
import { askedForHelp, getopt, WrongUsage } from "../log/arguments.ts";
import { reason } from "../log/words.ts";
import { command, shutdown } from "./commands.ts";
import { findService, whyNotDirectory } from "./condition.ts";
import { type Place, Places } from "./places.ts";

export const usage = `usage: svc [-udopchaitkx] SERVICE ...

Control the services in these directories.

  -u    up: run it, and keep it running
  -d    down: stop it with TERM and CONT, and keep it stopped
  -o    once: run it, and do not restart it when it ends
  -x    exit: when it is down, its supervisor ends
  -p -c -h -a -i -t -k
        send STOP, CONT, HUP, ALRM, INT, TERM, KILL
  --help
        print this
`;

/** What the original says to wrong usage, to the letter. */
const WRONG_USAGE =
  "svc options: u up, d down, o once, x exit, p pause, c continue, h hup, a alarm, i interrupt, t term, k kill\n";

export async function main(args: string[]): Promise<number> {
  // -h is a command here.
  if (args[0] === "--help" && askedForHelp(args, usage)) return 0;
  try {
    const { options, rest, wrong } = getopt(args, "udopchaitkx");
    if (wrong !== null) throw new WrongUsage(wrong);
    const sent = [...new Set(options.map(([letter]) => letter))];
    const places = new Places();
    for (const path of rest) await control(places, path, sent);
    return 0;
  } catch (error) {
    if (!(error instanceof WrongUsage)) throw error;
    err(`svc: ${error.message}\n${WRONG_USAGE}`);
    return 100;
  }
}

/** Sends the commands in their order; trouble is said, and is no failure. */
async function control(places: Places, path: string, letters: readonly string[]): Promise<void> {
  const missing = whyNotDirectory(places, path);
  if (missing < 0) return warn(`unable to chdir to ${path}`, missing);
  const found = findService(places, path);
  if (typeof found === "number") return warn(`unable to control ${path}`, found);
  const alarm = new Alarm();
  for (const letter of letters) {
    const code = await send(found.place, letter, alarm);
    if (code === -E.TIMEDOUT) return warn(`error writing commands to ${path}`, code);
    if (code < 0) return warn(`unable to control ${path}`, code);
  }
}

async function send(place: Place, letter: string, alarm: Alarm): Promise<number> {
  const asked = LETTERS[letter] ?? exit(place);
  if (asked === "shutdown") return await shutdown(place, alarm);
  return asked === null ? 0 : await command(place, asked, alarm);
}

/** supervise goes when its service is down; so a service that another one keeps is let run out. */
function exit({ rundir, name, single }: Place): "shutdown" | "once" | "down" | null {
  if (single) return "shutdown";
  const status = rundir.status(name);
  if (status?.wanted === "down") return null;
  return status?.process ? "once" : "down";
}

function warn(text: string, code: number): void {
  const why = code === -E.NXIO ? "supervise not running" : reason(code);
  err(`svc: warning: ${text}: ${why}\n`);
}
