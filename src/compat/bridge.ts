/** The bridge itself: what sysmgr-bridge(8) does until its supervisor ends. */
import { HEAL_INTERVAL, LOCK_GRACE, SCAN_INTERVAL_BLIND } from "../../config.ts";
import { escapeBytes } from "../bytes.ts";
import { complain } from "../cli.ts";
import { LETTERS } from "../letters.ts";
import * as libc from "../libc.ts";
import { IN } from "../libc.ts";
import * as proc from "../proc.ts";
import { whenEnded } from "../process.ts";
import { isServiceName, type RunDir, SUPERVISOR } from "../rundir.ts";
import type { ProcessId, Status } from "../status.ts";
import { type Watch, Watcher } from "../watch.ts";
import { Commands } from "./bridge-commands.ts";
import { SuperviseDir } from "./bridge-files.ts";
import { type Format, phase, pidText, statText, statusBytes, type View } from "./bridge-format.ts";

export const PROGRAM = "sysmgr-bridge";

/** After x the originals' supervisor is gone for about so long, before it is started again. */
const ABSENCE = 1_000;

const SELF = IN.DELETE_SELF | IN.MOVE_SELF;
const GONE = SELF | IN.IGNORED;
const CHANGED = IN.CREATE | IN.MOVED_TO | IN.DELETE | IN.MOVED_FROM;

/** A service, or a logger, that RUNDIR tells of. */
type Service = {
  readonly name: string;
  /** When we first saw it, on the clock of performance.now(). */
  readonly met: number;
  watches: readonly Watch[];
  /** Its supervise/, while we serve it. */
  files: SuperviseDir | null;
  /** What each of its files holds. */
  readonly written: Map<string, string>;
  /** The part of its life that the rest is about: a process, or none; and since when (ms). */
  phase: string;
  /** One that its status told of before the events that led to it were read. */
  early: string;
  since: number;
  paused: boolean;
  gotTerm: boolean;
  /** Commands that were written to control are not all answered yet. */
  asked: boolean;
  /** It was told to exit, and is ending; and then it is away for a moment. */
  exiting: boolean;
  away: boolean;
};

export class Bridge {
  private readonly services = new Map<string, Service>();
  private readonly touched = new Set<string>();
  private readonly said = new Set<string>();
  private readonly mark: string;
  private readonly commands: Commands;
  private readonly ended = Promise.withResolvers<number>();
  private watcher: Watcher | null = null;
  private isBlind = false;
  private later: Timer | null = null;

  constructor(
    private readonly sysdir: string,
    private readonly rundir: RunDir,
    private readonly format: Format,
    private readonly alone: boolean,
  ) {
    this.mark = rundir.supervisorMark();
    this.commands = new Commands(
      rundir,
      () => this.watcher,
      (text) => this.say(text),
    );
  }

  async run(supervisor: number): Promise<number> {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => this.end());
    }
    // Held back since we executed this.
    libc.unblockSignals();
    this.openWatcher();
    const started = proc.readStat(supervisor)?.started ?? 0;
    whenEnded({ pid: supervisor, started }, () => this.end());
    this.lookAtAll();
    if (this.rundir.supervisor() !== supervisor) this.end();
    const code = await this.ended.promise;
    // No more events are read: what is told now is the last word.
    this.watcher = null;
    this.lookAtAll();
    for (const service of this.services.values()) this.release(service);
    return code;
  }

  /** RUNDIR is somebody else's now, or none any more. */
  private get isOver(): boolean {
    return this.rundir.supervisorMark() !== this.mark || !this.rundir.isCurrent();
  }

  private end(): void {
    this.ended.resolve(0);
  }

  // ------------------------------------------------------------ what wakes us

  private openWatcher(): void {
    const watcher = Watcher.open(
      () => this.lookAtAll(),
      () => this.lookAtTouched(),
    );
    if (typeof watcher === "number") return this.goBlind(watcher);
    this.watcher = watcher;
    const onChange = (mask: number, file: string) => {
      if (mask & GONE || (file === "pid" && this.isOver)) this.end();
      else if (isServiceName(file)) this.touch(file, mask);
    };
    const watch = watcher.add(this.rundir.watchPath("."), CHANGED | SELF, onChange);
    if (typeof watch === "number") this.goBlind(watch);
  }

  /** Without inotify everything is looked at once a second. */
  private goBlind(code: number): void {
    if (this.isBlind) return;
    this.isBlind = true;
    this.say("blind", `cannot watch files: ${libc.strerror(code)}; looking every second instead`);
    setInterval(() => this.lookAtAll(), SCAN_INTERVAL_BLIND);
  }

  /** Something is so in a directory that it has, or has now: a new one is watched anew. */
  private touch(name: string, mask: number): void {
    const service = this.services.get(name);
    if (service && mask & (IN.CREATE | IN.MOVED_TO)) this.unwatch(service);
    this.touched.add(name);
  }

  private unwatch(service: Service): void {
    for (const watch of service.watches) this.watcher?.remove(watch);
    service.watches = [];
  }

  /** Its directory, and its drop box, which may be made a little later. */
  private watch(service: Service): void {
    const { name } = service;
    this.unwatch(service);
    const onService = (mask: number, file: string) => {
      this.touched.add(name);
      if (file === "log") this.touch(`${name}/log`, mask);
    };
    const onControl = (_: number, file: string) => this.noteAnswer(name, file);
    const watches = [
      this.watcher?.add(this.rundir.watchPath(name), CHANGED, onService),
      this.watcher?.add(this.rundir.controlWatchPath(name), IN.DELETE, onControl),
    ];
    const failed = watches.find((watch) => typeof watch === "number");
    if (failed !== undefined && failed !== -libc.E.NOENT) this.goBlind(failed);
    service.watches = watches.filter((watch) => typeof watch === "object");
  }

  /** What was asked of it, by anybody, has been done: its process has had that signal. */
  private noteAnswer(name: string, file: string): void {
    const service = this.services.get(name);
    if (!service) return;
    if (file === ".pause") service.paused = true;
    if (file === ".cont") service.paused = false;
    if (file === ".term") service.gotTerm = true;
    this.touched.add(name);
  }

  private lookAgain(pause: number): void {
    this.later ??= setTimeout(() => {
      this.later = null;
      this.lookAtAll();
    }, pause);
  }

  // ----------------------------------------------------------------- looking

  private lookAtAll(): void {
    if (this.isOver) this.end();
    const names = this.rundir.services().flatMap((name) => [name, `${name}/log`]);
    for (const name of new Set([...names, ...this.services.keys()])) this.look(name);
  }

  private lookAtTouched(): void {
    const names = [...this.touched];
    this.touched.clear();
    for (const name of names) this.look(name);
  }

  private look(name: string): void {
    const known = this.services.get(name);
    if (!this.isThere(name)) return known && this.forget(known);
    // Watched before it is read: its status may be written at this very moment.
    const service = known ?? this.meet(name);
    const isUnseen = service.watches.length < 2;
    if (isUnseen) this.watch(service);
    const status = this.rundir.status(name);
    if (!status) return this.release(service);
    if (this.isEarly(service, status)) return;
    this.follow(service, status, isUnseen);
    if (service.away) return;
    if (service.files && !service.files.isOf(this.path(name))) this.release(service);
    const isNew = !service.files && this.open(service);
    if (!service.files) return;
    this.tell(service, status);
    if (isNew && service.files) this.serve(service, service.files);
    if (service.exiting && isOver(status)) this.exit(service);
  }

  /** Has it a directory in RUNDIR? */
  private isThere(name: string): boolean {
    const stat = libc.stat(this.rundir.watchPath(name));
    return typeof stat !== "number" && stat.isDirectory;
  }

  private path(name: string): string {
    return `${this.sysdir}/${name}`;
  }

  private meet(name: string): Service {
    const service: Service = {
      name,
      met: performance.now(),
      watches: [],
      files: null,
      written: new Map(),
      phase: "",
      early: "",
      since: 0,
      paused: false,
      gotTerm: false,
      asked: false,
      exiting: false,
      away: false,
    };
    this.services.set(name, service);
    return service;
  }

  private forget(service: Service): void {
    this.release(service);
    this.unwatch(service);
    this.services.delete(service.name);
  }

  /**
   * Another process runs, and what was answered to the one before it we are still to read: then it
   * is looked at again after that.
   */
  private isEarly(service: Service, status: Status): boolean {
    const now = phaseOf(status);
    if (now === service.phase || now === service.early || !this.watcher?.isBehind) return false;
    service.early = now;
    this.touched.add(service.name);
    return true;
  }

  /** Its process may be another one now; we may not have seen what happened to it. */
  private follow(service: Service, status: Status, isUnseen: boolean): void {
    const { process, state } = status;
    const now = phaseOf(status);
    if (now !== service.phase) {
      // The time of its start is known to the millisecond only while it is starting.
      const begun = process && state !== "starting" ? startOf(process) : status.since;
      Object.assign(service, { phase: now, since: begun, paused: false, gotTerm: false });
    }
    if (state === "stopping") {
      service.gotTerm = true;
      service.paused = false;
    }
    // Nothing tells that CONT was sent, or STOP.
    if (process && (isUnseen || this.isBlind))
      service.paused = proc.readStat(process.pid)?.state === "T";
  }

  // ---------------------------------------------------------------- its files

  /** True when it can be served from now on. */
  private open(service: Service): boolean {
    const { name } = service;
    // Two lines tell where it is: a name of two lines would tell something else.
    const files = name.includes("\n") ? null : SuperviseDir.open(this.path(name));
    if (files instanceof SuperviseDir) {
      const code = files.openControl();
      service.files = files;
      service.written.clear();
      service.asked = code >= 0 && files.isAsked;
      return this.serves(service, code);
    }
    if (!files) return false;
    // A bridge before us ends about now; and others try the lock, too.
    const isEarly = performance.now() - service.met < LOCK_GRACE;
    if (files.busy && isEarly) this.lookAgain(50);
    else this.say(`${name}: ${files.reason}`);
    return false;
  }

  private tell(service: Service, status: Status): void {
    const { since, paused, gotTerm, asked, exiting } = service;
    const wanted = exiting ? "exit" : status.wanted;
    const view: View = { ...phase(status), since, wanted, paused, gotTerm, asked };
    this.write(service, "sysmgr", `${this.rundir.path}\n${service.name}\n`);
    this.write(service, "pid", pidText(view));
    this.write(service, "stat", statText(view));
    this.write(service, "status", statusBytes(view, this.format));
  }

  private write(service: Service, file: string, content: string): void {
    if (service.written.get(file) === content || !service.files) return;
    const code = service.files.write(file, content);
    if (code >= 0) return void service.written.set(file, content);
    this.say(`${service.name}: cannot write supervise/${file}: ${libc.strerror(code)}`);
    this.lookAgain(HEAL_INTERVAL);
    // Removed from under us: made again.
    if (code === -libc.E.NOENT) this.release(service);
  }

  private serve(service: Service, files: SuperviseDir): void {
    if (this.serves(service, files.openOk())) void this.listen(service, files);
  }

  /** Without its FIFOs it is not served at all. */
  private serves(service: Service, code: number): boolean {
    if (code >= 0) return true;
    this.say(`${service.name}: cannot open its FIFOs: ${libc.strerror(code)}`);
    this.release(service);
    return false;
  }

  /** Nobody listens to it any more. */
  private release(service: Service): void {
    service.files?.remove("sysmgr");
    service.files?.close();
    service.files = null;
  }

  // ----------------------------------------------------------------- commands

  private async listen(service: Service, files: SuperviseDir): Promise<void> {
    const reader = Bun.file(files.control).stream().getReader();
    files.onClose = () => void reader.cancel().catch(() => {});
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        this.setAsked(service, true);
        for (const letter of Buffer.from(value).toString("latin1")) {
          if (service.files === files) await this.obey(service, letter);
        }
        this.setAsked(service, false);
      }
    } catch (error) {
      this.say(`${service.name}: cannot read supervise/control: ${error}`);
    }
  }

  private setAsked(service: Service, asked: boolean): void {
    service.asked = asked;
    this.look(service.name);
  }

  private async obey(service: Service, letter: string): Promise<void> {
    const { name } = service;
    if (letter === "x") return await this.leave(service);
    const command = Object.hasOwn(LETTERS, letter) ? LETTERS[letter] : undefined;
    if (command === undefined) return;
    if (this.format === "runit" && "udo".includes(letter)) service.exiting = false;
    await this.commands.give(name, command);
  }

  /** runsv stops its service, supervise waits for its end; runsv takes no x for a logger. */
  private async leave(service: Service): Promise<void> {
    const isRunit = this.format === "runit";
    if (isRunit && service.name.endsWith("/log")) return;
    service.exiting = true;
    const wanted = this.rundir.status(service.name)?.wanted;
    if (wanted !== "down") await this.commands.give(service.name, isRunit ? "down" : "once");
    this.look(service.name);
  }

  /** Its supervisor would end now; under another one it would soon be started again. */
  private exit(service: Service): void {
    service.exiting = false;
    if (this.alone) {
      const request = this.rundir.request(SUPERVISOR, "shutdown");
      if (typeof request !== "number") return request.close();
      return this.say(`cannot ask for shutdown: ${libc.strerror(request)}`);
    }
    service.away = true;
    this.release(service);
    setTimeout(() => void this.comeBack(service), ABSENCE);
  }

  private async comeBack(service: Service): Promise<void> {
    service.away = false;
    if (this.services.get(service.name) !== service) return;
    const isDown = typeof libc.lstat(`${this.path(service.name)}/down`) !== "number";
    if (!isDown) await this.commands.give(service.name, "up");
    this.look(service.name);
  }

  /** A trouble, once. */
  private say(key: string, text = key): void {
    if (this.said.has(key)) return;
    this.said.add(key);
    complain(PROGRAM, escapeBytes(text));
  }
}

/** It is down, and nothing of it runs. */
function isOver({ process, state }: Status): boolean {
  return !process && state !== "finishing" && state !== "starting";
}

/** Names the process that it is about, or that there is none. */
function phaseOf(status: Status): string {
  const { process } = status;
  return process ? `${process.pid} ${process.started}` : phase(status).state;
}

/** When a process was started, in milliseconds since the epoch. */
function startOf(process: ProcessId): number {
  return Math.round(Date.now() - proc.ageOf(process.started));
}
