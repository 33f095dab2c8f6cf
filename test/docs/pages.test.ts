/** Every command that README.md and docs/ show is run here, and its output compared. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Glob } from "bun";
import { complaints, ROOT, runPage } from "../lib/documented.ts";
import { type Page, parsePage } from "../lib/page.ts";
import { BIN } from "../lib/sandbox.ts";

const PATH = `${BIN}:${process.env.PATH}`;
const names = ["README.md", ...[...new Glob("docs/*.md").scanSync(ROOT)].sort()];
const pages = names.map(
  (name) => [name, parsePage(readFileSync(join(ROOT, name), "utf8"))] as const,
);

/** Blocks that are not what the repository's file says. */
function strayed({ same }: Page): string[] {
  const text = (path: string) => `\n${readFileSync(join(ROOT, path), "utf8")}`;
  return same
    .filter(
      (block) =>
        !existsSync(join(ROOT, block.path)) || !text(block.path).includes(`\n${block.text}`),
    )
    .map(({ line, path }) => `${line}: this is not in ${path}`);
}

for (const [name, page] of pages) {
  for (const { line, reason } of page.notRun) console.log(`(not run) ${name}:${line}: ${reason}`);

  test(`${name}: every command is run, or says why not`, () => {
    expect(page.faults.map(({ line, what }) => `${name}:${line}: ${what}`)).toEqual([]);
    expect(strayed(page)).toEqual([]);
  });

  test(`${name}: its links lead somewhere`, () => {
    const files = page.links.filter(({ target }) => !/^(?:[a-z]+:|#)/.test(target));
    const dead = files.filter(({ target }) => {
      const path = target.replace(/#.*/, "");
      return !existsSync(join(ROOT, dirname(name), decodeURIComponent(path)));
    });
    expect(dead.map(({ line, target }) => `${name}:${line}: ${target}`)).toEqual([]);
  });
}

/**
 * Mostly they wait, so some are run at the same time; but not all: the kernel has few inotify
 * instances for a user.
 */
const lanes = Array.from({ length: 4 }, () => Promise.resolve());

/** Begins when the one before it in its lane has ended. */
function queued(lane: number, play: () => Promise<void>): Promise<void> {
  const played = (lanes[lane] ?? Promise.resolve()).then(play);
  lanes[lane] = played.catch(() => {});
  return played;
}

pages
  .filter(([, { steps }]) => steps.length > 0)
  .forEach(([name, page], i) => {
    const missing = page.needs.filter((program) => !Bun.which(program, { PATH }));
    const define = missing.length > 0 ? test.skip : test.concurrent;
    const play = async () => {
      const found = complaints(name, await runPage(page));
      if (found.length > 0) throw new Error(found.join("\n\n"));
    };
    const title = `${name}: its commands print what it shows`;
    // The time in its lane counts, too.
    define(title, () => queued(i % lanes.length, play), 600_000);
  });
