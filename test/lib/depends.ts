/** Services that wait for others, and what is written down of it. */
import { expect } from "bun:test";
import { list, makeDirectory, read, remove } from "./files.ts";
import { children, isAlive, readName } from "./processes.ts";
import { BIN, type Sandbox } from "./sandbox.ts";
import { type Service, STAY } from "./service.ts";
import type { Supervisor } from "./supervisor.ts";
import { until } from "./until.ts";

export const DEPENDS = `${BIN}/sysmgr-depends`;

/** Waits, traces `go`, and stays; ends when the waiting fails. */
export function needing(...args: string[]): string {
  return `'${DEPENDS}' ${args.join(" ")} || { trace "failed $?"; exit 1; }\ntrace go\n${STAY}`;
}

/** The same, but goes on when the waiting fails, as a script does that does not care. */
export function wanting(...args: string[]): string {
  return `'${DEPENDS}' ${args.join(" ")}; trace "code $?"\n${STAY}`;
}

/**
 * As if it had asked for others in its last life: then it is not up before it has run for a
 * second, so that a test need not be quick.
 */
export function experienced(...services: Service[]): void {
  for (const service of services) makeDirectory(service.file("depends"));
}

/** A service that is down from the beginning. */
export function stopped(box: Sandbox, name: string, body?: string): Service {
  const service = box.service(name, body);
  makeDirectory(service.file("."));
  service.mark();
  return service;
}

/**
 * Starts services that are stopped. None is up before that is done, which is that all wait unless
 * it is told: no time passes for sysmgr meanwhile. What they traced is of this life only.
 */
export async function begin(
  sysmgr: Supervisor,
  services: readonly Service[],
  done: () => Promise<unknown> = async () => {
    for (const service of services) await waits(service);
  },
): Promise<void> {
  await beginPaused(sysmgr, services, () => experienced(...services));
  await done();
  sysmgr.signal("SIGCONT");
}

/** The same up to where they run, and none is up, and sysmgr is stopped; in its first life each. */
export async function beginFirst(sysmgr: Supervisor, ...services: Service[]): Promise<void> {
  await beginPaused(sysmgr, services, () => {
    for (const service of services) remove(service.file("depends"));
  });
}

async function beginPaused(
  sysmgr: Supervisor,
  services: readonly Service[],
  prepare: () => void,
): Promise<void> {
  for (;;) {
    prepare();
    for (const service of services) service.unmark();
    await until(() => services.every((s) => s.status.pid), "all run");
    await sysmgr.pause();
    if (services.every((s) => s.status.state === "starting")) return;
    sysmgr.signal("SIGCONT");
    for (const service of services) service.mark();
    for (const service of services) {
      await service.is("down");
      await waits(service, 0);
      remove(service.traceFile);
    }
  }
}

/** It runs, and for a second nobody may go on who needs it. */
export async function notUp(box: Sandbox, name: string): Promise<void> {
  const early = await box.run(["sysmgr-depends", "-t", "1", name]);
  const err = `sysmgr-depends: ${name}: not up after 1 s (starting)\n`;
  expect(early).toEqual({ code: 1, out: "", err });
}

/** The calls of sysmgr-depends that it has written down: pid, start time, and for what. */
export function waiting(service: Service): { pid: number; start: number; wants: string[] }[] {
  const calls = list(service.file("waiting")).filter((name) => !name.startsWith("."));
  return calls.map((name) => {
    const text = read(service.file(`waiting/${name}`)) ?? "";
    const value = (key: string) => Number(text.match(new RegExp(`^${key}=(\\d+)$`, "m"))?.[1]);
    const wants = text.match(/^for=.*$/gm)?.map((line) => line.slice(4)) ?? [];
    return { pid: value("pid"), start: value("start"), wants };
  });
}

/** Waits until so many calls in it wait, and of this life if it runs; resolves to their pids. */
export async function waits(service: Service, calls = 1): Promise<number[]> {
  const alive = () =>
    waiting(service).filter((call) => isAlive(call.pid, call.start, service.pid ?? undefined));
  await until(() => alive().length === calls, `${calls} calls wait in ${service.name}`);
  return alive().map((call) => call.pid);
}

/** Waits until it runs a sysmgr-depends other than these, written down or not. */
export async function called(service: Service, ...before: number[]): Promise<number> {
  const calls = () =>
    children(service.pid ?? 0)
      .map((child) => child.pid)
      .filter((pid) => readName(pid) === "sysmgr-depends");
  return await until(() => calls().find((pid) => !before.includes(pid)), "it is called");
}

/** For whom it has asked in this life. */
export function asked(service: Service): string[] {
  return list(service.file("depends")).sort();
}
