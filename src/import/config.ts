/** All that a supervisord.conf, and what it includes, says about services. */
import type { Accounts } from "./accounts.ts";
import { environmentNames, expand, Names } from "./expand.ts";
import { type Ini, Section } from "./ini.ts";
import { Options } from "./options.ts";
import { type Process, processesOf } from "./program.ts";
import type { Place, Remarks } from "./remarks.ts";
import * as values from "./values.ts";
import { splitEnvironment } from "./words.ts";

/** What is known of this machine, and of who calls us. */
export type System = {
  readonly environment: ReadonlyMap<string, string>;
  readonly hostName: string;
  readonly accounts: Accounts;
};

/** What [supervisord] says about its children. */
export type Supervisor = {
  readonly user: string | null;
  readonly umask: number | null;
  readonly directory: string | null;
  readonly environment: ReadonlyMap<string, string>;
  /** Open descriptors that they may have at least, if that is said. */
  readonly descriptors: number | null;
  readonly options: Options;
};

export type Config = {
  readonly supervisor: Supervisor;
  readonly processes: readonly Process[];
  /** The group that may control supervisord through its socket. */
  readonly controlGroup: string | null;
};

/** `here`: the directory of the main file. */
export function buildConfig(ini: Ini, here: string, system: System, remarks: Remarks): Config {
  const builder = new Builder(ini, here, system, remarks);
  builder.noteSections();
  const processes = [...builder.groups(), ...builder.programs()];
  return {
    supervisor: builder.supervisor,
    processes,
    controlGroup: builder.controlGroup(),
  };
}

const LOGGING = ["logfile", "logfile_maxbytes", "logfile_backups", "loglevel", "pidfile", "silent"];
const NOT_NEEDED = [...LOGGING, "identifier", "childlogdir", "nocleanup", "minprocs"];
const SUPERVISOR_OPTIONS = new Set([
  ...NOT_NEEDED,
  ...["nodaemon", "user", "umask", "directory", "environment", "minfds", "strip_ansi"],
]);

class Builder {
  readonly supervisor: Supervisor;
  private readonly names: Names;
  /** Programs that are in a group, which are not processes of their own then. */
  private readonly grouped = new Set<string>();

  constructor(
    private readonly ini: Ini,
    here: string,
    private readonly system: System,
    private readonly remarks: Remarks,
  ) {
    const outside = Names.ofEnvironment(system.environment);
    this.supervisor = this.readSupervisor(outside.with([["here", here]]));
    this.names = outside.with([
      ...environmentNames(this.supervisor.environment),
      ["here", here],
      ["host_node_name", system.hostName],
    ]);
  }

  /** A file without that section is taken for one that another includes. */
  private readSupervisor(names: Names): Supervisor {
    const name = "supervisord";
    const section =
      this.ini.sections.get(name) ?? new Section(name, { file: "supervisord.conf", line: 1 });
    const options = this.options(section, "[supervisord]");
    // It is expanded twice there.
    const again = names.with([["host_node_name", this.system.hostName]]);
    const text = (value: string) => value;
    const daemon = !options.get("nodaemon", names, false, values.boolean);
    if (options.get("strip_ansi", names, false, values.boolean)) {
      options.remark("lost", "strip_ansi", "logs keep their escape sequences");
    }
    return {
      user: options.get<string | null>("user", names, null, text),
      // Both are changed when it becomes a daemon, and only then.
      umask: daemon ? options.get<number | null>("umask", names, null, values.octal) : null,
      directory: daemon ? options.get<string | null>("directory", names, null, text) : null,
      environment: options.get("environment", names, new Map<string, string>(), (once) =>
        splitEnvironment(expand(once, again)),
      ),
      descriptors: options.get<number | null>("minfds", names, null, values.integer),
      options,
    };
  }

  private options(section: Section, subject: string): Options {
    return new Options(this.ini, section, subject, this.remarks);
  }

  /** The sections whose names begin so: the rest of the name, and the section. */
  private sections(prefix: string): [string, Section][] {
    return [...this.ini.sections]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, section]) => [name.slice(prefix.length), section]);
  }

  groups(): Process[] {
    return this.sections("group:").flatMap(([name, section]) => {
      const options = this.options(section, `[${section.name}]`);
      const group = options.attempt("name", name, () => values.processName(name));
      const priority = options.get<number | null>("priority", this.names, null, values.integer);
      if (priority !== null) options.remark("lost", "priority", NO_ORDER);
      const programs = options.get<string[]>("programs", this.names, [], values.list);
      return programs.flatMap((program) => this.member(program, group, options));
    });
  }

  private member(program: string, group: string, options: Options): Process[] {
    const section = this.ini.sections.get(`program:${program}`);
    const fastCgi = this.ini.sections.has(`fcgi-program:${program}`);
    if (section && fastCgi) {
      options.remark("error", "programs", `${program} is both a program and an fcgi-program`);
    } else if (!section && !fastCgi) {
      options.remark("error", "programs", `there is no program ${program}`);
    }
    if (!section || fastCgi) return [];
    this.grouped.add(section.name);
    return this.processes(program, group, section);
  }

  /** Those that are in no group: each is the group of its own processes. */
  programs(): Process[] {
    return this.sections("program:")
      .filter(([, section]) => !this.grouped.has(section.name))
      .flatMap(([name, section]) => this.processes(name, null, section));
  }

  private processes(text: string, group: string | null, section: Section): Process[] {
    const options = this.options(section, text);
    const program = options.attempt("name", text, () => values.processName(text));
    return processesOf(program, group ?? program, options, this.names);
  }

  /** Who may use the socket of supervisord, if that is a group, and no password is asked for. */
  controlGroup(): string | null {
    const section = this.ini.sections.get("unix_http_server");
    if (!section) return null;
    const options = this.options(section, "[unix_http_server]");
    const mode = options.get("chmod", this.names, 0o700, values.octal);
    const owner = options.get("chown", this.names, "", (text) => text);
    const [, group] = owner.split(":");
    if (group === undefined || (mode & 0o020) === 0 || options.has("password")) {
      if (owner !== "") options.remark("lost", "chown", "only a group may be given control");
      return null;
    }
    const name = this.system.accounts.group(group);
    if (name === null) options.remark("lost", "chown", `there is no group ${group} here`);
    return name;
  }

  /** What becomes of sections that are no programs. */
  noteSections(): void {
    for (const [name, section] of this.ini.sections) this.noteSection(name, section.place);
    const { options } = this.supervisor;
    options.noteUnknown(SUPERVISOR_OPTIONS);
    const unused = NOT_NEEDED.filter((option) => options.section.options.has(option));
    const text = `[supervisord]: not needed here: ${unused.join(", ")}`;
    if (unused.length > 0) this.remarks.add("note", options.section.place, text);
  }

  private noteSection(name: string, place: Place): void {
    const [kind = ""] = name.split(":");
    const said = SECTIONS.get(kind);
    if (said) this.remarks.add(said[0], place, `[${name}]: ${said[1]}`);
    else if (!CONVERTED.includes(kind)) {
      this.remarks.add("note", place, `[${name}]: supervisord has no such section`);
    }
  }
}

export const NO_ORDER = "all services start at once; a run that needs another calls sysmgr-depends";

type Fate = readonly ["lost" | "note", string];

const CONVERTED = ["supervisord", "include", "program", "group"];

const BY_FILES: Fate = ["note", "not needed: svctl works by files"];

const SECTIONS = new Map<string, Fate>([
  ["unix_http_server", BY_FILES],
  ["supervisorctl", BY_FILES],
  ["rpcinterface", BY_FILES],
  ["ctlplugin", ["lost", "not converted: svctl has no plugins"]],
  ["inet_http_server", ["lost", "not converted: sysmgr does not listen to any network"]],
  ["fcgi-program", ["lost", "not converted: sysmgr opens no sockets for services"]],
  ["eventlistener", ["lost", "not converted: svctl watch --json tells of events"]],
]);
