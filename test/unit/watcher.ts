/** One inotify instance for all tests of a file: a user has but 128. */
import { Watcher } from "../../src/watch.ts";

export function openWatcher(onOverflow = () => {}, onBatch = () => {}): Watcher {
  const opened = Watcher.open(onOverflow, onBatch);
  if (typeof opened === "number") throw new Error("no inotify instance is to be had");
  return opened;
}
