/**
 * What many programs share, named in one place so that it becomes one part of the binary: the
 * compiler makes a part of its own for each set of programs that share a module, and to load one
 * takes 0.1 ms. Nothing here does anything when it is loaded.
 */
import "./alarm.ts";
import "./directories.ts";
import "./environment.ts";
import "./letters.ts";
import "./log/arguments.ts";
import "./log/events.ts";
import "./log/label.ts";
import "./log/output.ts";
import "./log/reader.ts";
import "./log/words.ts";
import "./proc.ts";
import "./process.ts";
import "./progress.ts";
import "./report.ts";
import "./rundir.ts";
import "./settings.ts";
import "./status.ts";
import "./sysdir.ts";
import "./transition.ts";
import "./watch.ts";
