/** A test in a sandbox of its own. */
import { test } from "bun:test";
import { Sandbox } from "./sandbox.ts";

/** What must be there for a test to mean anything; where it is not, the test is skipped. */
export const have = {
  root: process.getuid?.() === 0,
  mounts:
    process.getuid?.() === 0 && works("unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"),
  userns: works("unshare", "-Ur", "sh", "-c", "echo 9 >/proc/sys/user/max_inotify_instances"),
  setpriv: process.getuid?.() === 0 && works("setpriv", "--bounding-set=-dac_override", "true"),
  pidns: works("unshare", "-fp", "--mount-proc", "true"),
  nsenter: works("nsenter", "--version"),
};

function works(...command: string[]): boolean {
  try {
    return Bun.spawnSync(command, { stdio: ["ignore", "ignore", "ignore"] }).exitCode === 0;
  } catch {
    return false;
  }
}

type Body = (box: Sandbox) => Promise<void>;

const SECONDS = 200;
/** For the cleaning up, which must not be cut short. */
const MORE = 20;

/**
 * Runs the body, then the checks that hold after every test; cleans up whatever happened. Says
 * what sysmgr said if it failed.
 */
async function play(body: Body, seconds: number): Promise<void> {
  const box = new Sandbox();
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => limit.reject(new Error(`not done after ${seconds} s`)),
    seconds * 1000,
  );
  try {
    const played = body(box).then(() => box.check());
    await Promise.race([played, limit.promise]);
  } catch (error) {
    console.error(box.describe());
    throw error;
  } finally {
    clearTimeout(timer);
    await box.remove();
  }
}

/** Tests of one file run one after the other. */
export function scenario(name: string, body: Body, needs = true, seconds = SECONDS): void {
  test.skipIf(!needs)(name, () => play(body, seconds), (seconds + MORE) * 1000);
}

/** The same for those that mostly wait: neighbours run at the same time. */
export function patientScenario(name: string, body: Body, needs = true, seconds = SECONDS): void {
  const define = needs ? test.concurrent : test.skip;
  define(name, () => play(body, seconds), (seconds + MORE) * 1000);
}
