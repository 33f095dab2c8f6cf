/** Data to text that pmtr.conf(5) describes: parsed again, it is the same data. */
import type { Config, Job, UdpAddress } from "./config.ts";
import { quoteConfWord } from "./words.ts";

export function printConfig({ jobs, report, listen }: Config): string {
  const lines = [
    ...(report ? [`report to ${printAddress(report)}\n`] : []),
    ...(listen ? [`listen on ${printAddress(listen)}\n`] : []),
  ];
  return [...lines, ...jobs.map(printJob)].join("\n");
}

/** Everything that the job says; what it leaves open is left out. */
export function printJob(job: Job): string {
  const valued = (["dir", "out", "err", "in", "user", "nice", "cpu"] as const).flatMap((key) => {
    const value = job[key];
    return value === null ? [] : [[key, String(value)]];
  });
  const lines = [
    ["name", job.name],
    ["cmd", ...job.cmd],
    ...valued,
    ...job.env.map((variable) => ["env", variable]),
    ...job.ulimits.map(({ flag, value }) => ["ulimit", `-${flag}`, value]),
    ...(job.bounce === null ? [] : [["bounce", "every", printInterval(job.bounce)]]),
    ...(job.order === 0 ? [] : [["order", String(job.order)]]),
    ...(["disable", "wait", "once"] as const).filter((key) => job[key]).map((key) => [key]),
  ].map((words) => `  ${words.map(quoteConfWord).join(" ")}\n`);
  return `job {\n${lines.join("")}${printDepends(job.depends)}}\n`;
}

function printDepends(files: readonly string[]): string {
  if (files.length === 0) return "";
  return `  depends {\n${files.map((file) => `    ${quoteConfWord(file)}\n`).join("")}  }\n`;
}

function printAddress({ host, port, device }: UdpAddress): string {
  return `udp://${host}:${port}${device === null ? "" : `@${device}`}`;
}

/** In the largest unit that leaves no rest. */
function printInterval(seconds: number): string {
  if (seconds % 86_400 === 0) return `${seconds / 86_400}d`;
  if (seconds % 3_600 === 0) return `${seconds / 3_600}h`;
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}
