/** svctl metrics: numbers in Prometheus' text format, for node_exporter's textfile collector. */
import { out } from "../cli.ts";
import * as proc from "../proc.ts";
import { isUp, type Shown } from "../report.ts";
import { RunDir } from "../rundir.ts";
import type { Exit } from "../status.ts";
import { Census } from "./census.ts";
import { plainText, refuseNames, utf8, type View } from "./eye.ts";
import { descriptorsOf, type Usage, UsageMeter } from "./usage.ts";

export const usage = `usage: svctl metrics

Print the state of all services in the text format of Prometheus.

  -d SYSDIR      directory of services
  -r RUNDIR      directory of state
`;

export const spec = {};

/** What is known of a service: its status, and what its session uses. */
export type Measured = {
  readonly shown: Shown;
  readonly usage: (Usage & { readonly descriptors: number | null }) | null;
  /** Seconds that its process has run. */
  readonly uptime: number | null;
};

type Metric = {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  /** null: it has none. */
  readonly value: (of: Measured) => number | null;
};

const METRICS: readonly Metric[] = [
  {
    name: "up",
    type: "gauge",
    help: "Whether the main process of the service runs.",
    value: ({ shown }) => Number(isUp(shown)),
  },
  {
    name: "ready",
    type: "gauge",
    help: "Whether the service is in the state up: it runs, and is ready where it can say so.",
    value: ({ shown }) => Number(shown.status?.state === "up"),
  },
  {
    name: "wanted",
    type: "gauge",
    help: "Whether the service is to be kept running: it has no stop marker.",
    value: ({ shown }) => Number(shown.status?.wanted === "up"),
  },
  {
    name: "failed",
    type: "gauge",
    help: "Whether the service cannot be started.",
    value: ({ shown }) => Number(shown.status?.state === "failed"),
  },
  {
    name: "waiting",
    type: "gauge",
    help: "How many services it waits for with sysmgr-depends.",
    value: ({ shown }) => shown.waitingFor.length,
  },
  {
    name: "restarts_total",
    type: "counter",
    help: "How often the service was started after its first start.",
    value: ({ shown }) => Math.max(0, (shown.status?.runs ?? 0) - 1),
  },
  {
    name: "uptime_seconds",
    type: "gauge",
    help: "How long the main process has run.",
    value: ({ uptime }) => uptime,
  },
  {
    name: "last_exit_code",
    type: "gauge",
    help: "How the last life ended: exit code, or 128 and the number of the signal.",
    value: ({ shown }) => exitCode(shown.status?.exit ?? null),
  },
  {
    name: "cpu_seconds_total",
    type: "counter",
    help: "CPU time that the processes of the session have used.",
    value: ({ usage }) => usage?.cpu ?? null,
  },
  {
    name: "memory_bytes",
    type: "gauge",
    help: "Resident memory of the processes of the session; shared pages count for each.",
    value: ({ usage }) => usage?.memory ?? null,
  },
  {
    name: "processes",
    type: "gauge",
    help: "Processes of the session.",
    value: ({ usage }) => usage?.pids.length ?? null,
  },
  {
    name: "threads",
    type: "gauge",
    help: "Threads of the processes of the session.",
    value: ({ usage }) => usage?.threads ?? null,
  },
  {
    name: "open_fds",
    type: "gauge",
    help: "Descriptors that the processes of the session have open.",
    value: ({ usage }) => usage?.descriptors ?? null,
  },
];

export function run(view: View): number {
  refuseNames(view, "metrics");
  const rundir = RunDir.open(view.rundir);
  const pid = typeof rundir === "number" ? null : rundir.supervisor();
  out(family("sysmgr_up", "gauge", "Whether sysmgr runs.", [["", pid === null ? 0 : 1]]));
  if (pid === null || typeof rundir === "number") return 0;
  out(utf8(format(measure(new Census(rundir, "once").look()))));
  return 0;
}

function measure(all: readonly Shown[]): Measured[] {
  const used = new UsageMeter().measure(all.flatMap((shown) => shown.status?.process ?? []));
  const uptime = proc.ageOf(0);
  return all.map((shown) => {
    const process = shown.status?.process;
    const found = process && used.get(process.pid);
    const age = process ? uptime - process.started * (1000 / proc.TICKS_PER_SECOND) : null;
    return {
      shown,
      usage: found ? { ...found, descriptors: descriptorsOf(found.pids) } : null,
      uptime: age === null ? null : Math.max(0, age) / 1000,
    };
  });
}

/** All metrics of services, as text. Pure. */
export function format(all: readonly Measured[]): string {
  return METRICS.map(({ name, type, help, value }) => {
    const samples = all.flatMap((measured): [string, number][] => {
      const number = value(measured);
      const service = plainText(measured.shown.name);
      return number === null ? [] : [[`{service="${escapeLabel(service)}"}`, number]];
    });
    return family(`sysmgr_service_${name}`, type, help, samples);
  }).join("");
}

/** One metric: what it is, then its samples; nothing at all without any. */
function family(
  name: string,
  type: Metric["type"],
  help: string,
  samples: readonly (readonly [labels: string, value: number])[],
): string {
  if (samples.length === 0) return "";
  const lines = samples.map(([labels, value]) => `${name}${labels} ${Number(value.toFixed(3))}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

/** In a label's value backslash, quote and newline are written with a backslash. */
export function escapeLabel(text: string): string {
  return text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n");
}

function exitCode(exit: Exit | null): number | null {
  if (exit === null || "unknown" in exit) return null;
  return "code" in exit ? exit.code : 128 + exit.signal;
}
