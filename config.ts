/**
 * Compile-time defaults, each with its reason. Times are in milliseconds unless the name
 * says otherwise. Change them here, then `make`.
 */

export const VERSION = "0.1.0";

/** Where services are looked for when neither -d nor the environment says. */
export const SYSDIR = "/var/sysmgr";

/** Where state is kept; a tmpfs, so that a boot begins with nothing. */
export const RUNDIR = "/run/sysmgr";

/** A life at least this long is a good one: its end is answered by a start at once. */
export const MIN_UPTIME = 1_000;

/** Waits after lives shorter than that, in a row; the last one repeats for ever. */
export const BACKOFF = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000] as const;

/** A start that failed for want of something (processes, memory) is tried again after this. */
export const SPAWN_RETRY = 1_000;

/** A service that says nothing about its readiness counts as up after this. */
export const SETTLE = 250;

/**
 * The same for one that called sysmgr-depends in its last life: a slow interpreter must not
 * let a dependent slip through before that call is there to be seen.
 */
export const SETTLE_DEPENDS = 1_000;

/** After sysmgr-depends has returned: a script may call it twice, 5 ms apart. */
export const SETTLE_RETURNED = 50;

/** A check is run again this long after it failed, until it first passes. */
export const CHECK_INTERVAL = 1_000;

/** A check, a control script, and a finish script, that take longer are killed. */
export const CHECK_LIMIT = 5_000;
export const CONTROL_LIMIT = 5_000;
export const FINISH_LIMIT = 30_000;

/** An entry may be missing this long: an editor or a package manager replaces files so. */
export const REMOVE_DELAY = 2_000;

/** An empty stop marker may be written in a second step: its closing tells, or this. */
export const MARKER_GRACE = 100;

/** And this long after its closing it is looked at once more. */
export const MARKER_PAUSE = 5;

/** A logger whose service was removed is stopped if it has not ended this long after its input. */
export const LOGGER_GRACE = 5_000;

/** Everything is looked at this often, in case an event was lost. */
export const SCAN_INTERVAL = 300_000;

/** The same while inotify is not to be had. */
export const SCAN_INTERVAL_BLIND = 1_000;

/** A status that could not be written (full disk) is tried again this often. */
export const HEAL_INTERVAL = 1_000;

/** The lock of a sysmgr that was killed is free within this. */
export const LOCK_GRACE = 2_000;

/** Starting many services gives way to signals and events after this. */
export const SPAWN_SLICE = 20;

/** After so many events garbage is collected (6 ms of CPU), */
export const TIDY_AFTER = 200;
/** once the burst that they came in is likely over. */
export const TIDY_DELAY = 2_000;

/** Shutdown, from its beginning: TERM to all that are left, */
export const SHUTDOWN_TERM = 3_000;
/** KILL to the sessions that are left, */
export const SHUTDOWN_KILL = 7_000;
/** and to loggers that have not come to the end of what was written to them, */
export const SHUTDOWN_LOGGERS = 8_000;
/** and nobody waits longer: `docker stop` allows 10 s. */
export const SHUTDOWN_END = 9_000;

/** A second TERM or INT leaves the services this long before KILL. */
export const SHUTDOWN_HURRY = 1_000;

/** The new binary must answer --version within this before it replaces the old one. */
export const UPGRADE_PROBE = 5_000;

/** svctl waits this many seconds for what it asked for, unless -t or SVWAIT says otherwise. */
export const SVWAIT_SECONDS = 7;

/** A service that is in SYSDIR is known to its sysmgr within this, or not its business. */
export const APPEAR_TIME = 2_000;

/** A client waits this long for a status that could not be written: two attempts to heal it. */
export const STATUS_GRACE = 2_000;

/** How often a client looks when it gets no inotify instance. */
export const CLIENT_POLL = 200;

/** What sysmgr reads from a file in RUNDIR, in bytes; more is not looked at. */
export const READ_LIMIT = 4_096;

/** Messages that wait for a stuck standard error, in bytes; more are counted and dropped. */
export const LOG_BUFFER = 65_536;

/** RLIMIT_NOFILE of services when the parent's cannot be known: the kernel's own default. */
export const NOFILE = 1_024;

/** Where procmgr's configuration is when neither -c nor the environment says. */
export const PROCMGR_CONFFILE = "/etc/procmgr.cfg";

/** Where its daemon is found when the configuration does not say. */
export const PROCMGR_SOCKET = "/run/procmgr";

/** What its scripts are run by, and where that looks for programs. */
export const ACTION_SHELL = "/bin/sh";
export const ACTION_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** So many requests of one user are worked on at once; */
export const REQUESTS_PER_USER = 64;
/** each is at most so long, in bytes. */
export const REQUEST_LIMIT = 1_048_576;

/** Its supervisor answers within this, or something is wrong. */
export const SUPERVISOR_LIMIT = 20_000;
