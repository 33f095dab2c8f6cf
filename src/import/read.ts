/** Reads a supervisord.conf and the files that it includes. */
import { absolutePath, dirname } from "../bytes.ts";
import { expand, type Names } from "./expand.ts";
import { type Files, glob } from "./glob.ts";
import { Ini, readIni, type Value } from "./ini.ts";
import { Invalid, type Place, type Remarks } from "./remarks.ts";

export type Disk = Files & {
  /** null: it is there, but no file. */
  readonly read: (path: string) => string | { readonly reason: string } | null;
};

export type Source = { readonly ini: Ini; readonly here: string; readonly files: string[] };

/** `file`: as it is to be called in messages. */
export function readConfiguration(
  file: string,
  disk: Disk,
  names: Names,
  remarks: Remarks,
): Source | { readonly reason: string } {
  const here = dirname(absolutePath(file));
  const text = disk.read(file);
  if (text === null) return { reason: "not a file" };
  if (typeof text !== "string") return text;
  const ini = new Ini();
  readIni(ini, text, file, remarks);
  const include = ini.sections.get("include");
  if (!include) return { ini, here, files: [file] };

  const files = [file];
  fixHere(ini, here);
  const patterns = includePatterns(ini, names.with([["here", here]]), remarks);
  for (const { text: pattern, place } of patterns) {
    const path = pattern.startsWith("/") ? pattern : `${here}/${pattern}`;
    const found = included(path, disk, place, remarks);
    if (found?.length === 0) remarks.add("note", place, `[include]: nothing fits ${pattern}`);
    for (const path of found ?? []) {
      const text = disk.read(path);
      if (text === null) remarks.add("note", place, `[include]: ${path} is not a file`);
      else if (typeof text !== "string") {
        remarks.add("error", place, `[include]: cannot read ${path}: ${text.reason}`);
      } else {
        const directory = dirname(absolutePath(path));
        readIni(ini, text, path, remarks, (value) => value.replaceAll(HERE, directory));
        files.push(path);
      }
    }
  }
  return { ini, here, files };
}

/** null after an error. */
function included(pattern: string, disk: Disk, place: Place, remarks: Remarks): string[] | null {
  try {
    return glob(pattern, disk);
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    remarks.add("error", place, `[include]: ${error.message}`);
    return null;
  }
}

/** With an [include], this stands for the directory of the file that it is in. */
const HERE = "%(here)s";

function fixHere(ini: Ini, here: string): void {
  for (const { options } of [ini.defaults, ...ini.sections.values()]) {
    for (const [name, { text, place }] of options) {
      options.set(name, { text: text.replaceAll(HERE, here), place });
    }
  }
}

function includePatterns(ini: Ini, names: Names, remarks: Remarks): Value[] {
  const include = ini.sections.get("include");
  const files = include && ini.get(include, "files");
  if (!files) {
    if (include) remarks.add("error", include.place, "[include]: it has no files");
    return [];
  }
  try {
    const words = expand(files.text, names).split(/[\t-\r ]+/);
    return words.filter((word) => word !== "").map((text) => ({ text, place: files.place }));
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    remarks.add("error", files.place, `[include]: files: ${error.message}`);
    return [];
  }
}
