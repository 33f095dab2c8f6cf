/** Clients as people run them: from a shell, on a terminal, as somebody else, without inotify. */
import { read, write } from "./files.ts";
import { BIN, type Outcome, type Sandbox } from "./sandbox.ts";
import { PATIENCE, until } from "./until.ts";

/** Runs what is appended as a user who may look at everything and change nothing. */
export const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/** Runs what is appended where nobody gets an inotify instance; needs user namespaces. */
export const BLIND = [
  "unshare",
  "-Ur",
  "sh",
  "-c",
  'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"',
  "sh",
];

let scripts = 0;

/** A sh script, which finds our programs; it and what it prints are byte strings. */
export async function shell(
  box: Sandbox,
  script: string,
  options: { env?: Record<string, string>; cwd?: string; interpreter?: string } = {},
): Promise<Outcome> {
  const { interpreter = "sh", ...rest } = options;
  const file = `${box.dir}/script.${++scripts}`;
  write(file, script);
  const redirect = `exec "$1" "$2" >"$2.out" 2>"$2.err"`;
  const env = { PATH: `${BIN}:${process.env.PATH}`, ...options.env };
  const { code } = await box.run(["sh", "-c", redirect, "sh", interpreter, file], { ...rest, env });
  return { code, out: read(`${file}.out`) ?? "", err: read(`${file}.err`) ?? "" };
}

/** A program of ours on a terminal of 80 columns: its exit code, and all that it showed. */
export async function onTerminal(
  box: Sandbox,
  [program = "", ...args]: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; shown: string }> {
  // What was written last may arrive after the exit: a mark tells that there is no more.
  const mark = /END (\d+)\n$/;
  let shown = "";
  const terminal = new Bun.Terminal({
    cols: 80,
    rows: 24,
    data: (_, bytes) => {
      shown += Buffer.from(bytes).toString("latin1").replaceAll("\r", "");
    },
  });
  const child = Bun.spawn(["sh", "-c", '"$@"; echo "END $?"', "sh", `${BIN}/${program}`, ...args], {
    env: { ...box.environment, SYSDIR: box.sysdir, RUNDIR: box.rundir, TERM: "xterm", ...env },
    terminal,
    timeout: PATIENCE,
    killSignal: "SIGKILL",
  });
  await until(() => mark.test(shown), `${program} ends on its terminal`);
  await child.exited;
  terminal.close();
  return { code: Number(shown.match(mark)?.[1]), shown: shown.replace(mark, "") };
}
