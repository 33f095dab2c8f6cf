/**
 * usage: screenshot.ts [DIRECTORY]
 *
 * Runs the services in examples/ and makes pictures of them: top.svg, from what `svctl top` writes
 * to a terminal, and plot.svg, from `svctl plot`. They go into docs/, or that directory.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { element, escapeXml } from "../src/eyes/svg.ts";
import { until } from "../test/lib/until.ts";

// ------------------------------------------------------------------ the screen

type Style = {
  readonly bold: boolean;
  readonly dim: boolean;
  readonly reverse: boolean;
  /** 0 to 7, as the terminal numbers them. */
  readonly colour: number | null;
};
type Cell = { readonly character: string; readonly style: Style };

const PLAIN: Style = { bold: false, dim: false, reverse: false, colour: null };
const BLANK: Cell = { character: " ", style: PLAIN };

/** The cells of a terminal, as the sequences that our programs use change them. */
export class Screen {
  readonly cells: Cell[][];
  private row = 0;
  private column = 0;
  private style = PLAIN;

  constructor(
    readonly columns: number,
    readonly rows: number,
  ) {
    this.cells = Array.from({ length: rows }, () => Array(columns).fill(BLANK));
  }

  /** Whole sequences only. */
  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
    for (const [word, how, final] of text.matchAll(/\x1b\[([0-9;?]*)([A-Za-z])|./gsu)) {
      if (final) this.control(final, (how ?? "").split(";"));
      else if (word === "\r") this.column = 0;
      else if (word === "\n") this.row++;
      else this.put(word);
    }
  }

  private put(character: string): void {
    const line = this.cells[this.row];
    if (line && this.column < this.columns) line[this.column] = { character, style: this.style };
    this.column++;
  }

  private control(final: string, parameters: readonly string[]): void {
    const [first = 0, second = 0] = parameters.map(Number);
    if (final === "H") [this.row, this.column] = [Math.max(1, first) - 1, Math.max(1, second) - 1];
    else if (final === "K") this.cells[this.row]?.fill(BLANK, this.column);
    else if (final === "J") {
      this.cells[this.row]?.fill(BLANK, this.column);
      for (const line of this.cells.slice(this.row + 1)) line.fill(BLANK);
    } else if (final === "m") for (const code of parameters) this.render(Number(code));
  }

  private render(code: number): void {
    if (code === 0) this.style = PLAIN;
    else if (code === 1) this.style = { ...this.style, bold: true };
    else if (code === 2) this.style = { ...this.style, dim: true };
    else if (code === 7) this.style = { ...this.style, reverse: true };
    else if (code >= 30 && code <= 37) this.style = { ...this.style, colour: code - 30 };
  }

  get text(): string {
    return this.cells.map((line) => line.map((cell) => cell.character).join("")).join("\n");
  }
}

// ----------------------------------------------------------------- the picture

const [WIDTH, HEIGHT, MARGIN] = [8, 18, 12];
const [PAPER, INK, FAINT] = ["#1b1f24", "#d0d7de", "#768390"];
const COLOURS = ["#545d68", "#f47067", "#57ab5a", "#c69026", "#539bf5", "#b083f0", "#39c5cf", INK];

/** As SVG, with a frame. Text is stretched to its cells, whatever font is there. */
export function drawScreen(screen: Screen, title: string): string {
  const [w, h] = [screen.columns * WIDTH + 2 * MARGIN, screen.rows * HEIGHT + 2 * MARGIN];
  const lines = screen.cells.flatMap((line, row) => runs(line).map((run) => drawRun(run, row)));
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}">
<title>${escapeXml(title)}</title>
<style>text { font: 13px "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; }</style>
<rect width="${w}" height="${h}" rx="8" fill="${PAPER}"/>
${lines.filter((part) => part !== "").join("\n")}
</svg>
`;
}

type Run = { readonly column: number; readonly text: string; readonly style: Style };

/** Neighbours that look the same are drawn together; blanks that show nothing are left out. */
function runs(line: readonly Cell[]): Run[] {
  const found: Run[] = [];
  line.forEach(({ character, style }, column) => {
    const last = found.at(-1);
    if (last && last.style === style) {
      found[found.length - 1] = { ...last, text: last.text + character };
    } else found.push({ column, text: character, style });
  });
  return found.flatMap((run) => (run.style.reverse ? [run] : wordsOf(run)));
}

/** Apart from each other where there are two blanks or more. */
function wordsOf({ column, text, style }: Run): Run[] {
  const words = text.matchAll(/\S+(?: \S+)*/g);
  return [...words].map((word) => ({ column: column + word.index, text: word[0], style }));
}

function drawRun({ column, text, style }: Run, row: number): string {
  const [x, y, width] = [MARGIN + column * WIDTH, MARGIN + row * HEIGHT, [...text].length * WIDTH];
  const ink = style.dim ? FAINT : style.colour === null ? INK : (COLOURS[style.colour] ?? INK);
  const words = wordsOf({ column, text, style }).map((word) =>
    element(
      "text",
      {
        x: MARGIN + word.column * WIDTH,
        y: y + 13,
        textLength: [...word.text].length * WIDTH,
        fill: style.reverse ? PAPER : ink,
        ...(style.bold ? { "font-weight": "bold" } : {}),
      },
      escapeXml(word.text),
    ),
  );
  const bar = element("rect", { x, y, width, height: HEIGHT, fill: ink });
  return (style.reverse ? [bar, ...words] : words).join("\n");
}

// ---------------------------------------------------------------- the services

const root = join(import.meta.dir, "..");
const bin = join(root, "build/bin");
const examples = join(root, "examples");
const services = readdirSync(examples).filter((name) => !name.startsWith("."));
/** A line above them, a heading, an empty one and the keys. */
const SIZE = { cols: 80, rows: services.length + 4 };

/** A sequence may come in two pieces: this is a first one. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const PART = /\x1b(?:\[[0-9;?]*)?$/;

/** Takes the pictures of running services. */
async function take(env: Record<string, string>): Promise<{ top: string; plot: string }> {
  const svctl = async (...words: string[]) => {
    const child = Bun.spawn([`${bin}/svctl`, ...words], { env });
    const out = await child.stdout.text();
    return (await child.exited) === 0 ? out : "";
  };
  await svctl("ready", "-t", "20", "web", "worker", "sleeper");
  const plot = await svctl("plot");
  const pid = (await Bun.file(`${env.RUNDIR}/web/pid`).text()).trim();
  process.kill(Number(pid), "SIGKILL");

  const screen = new Screen(SIZE.cols, SIZE.rows);
  const decoder = new TextDecoder();
  let text = "";
  const child = Bun.spawn([`${bin}/svctl`, "top"], {
    env: { ...env, TERM: "xterm" },
    terminal: {
      ...SIZE,
      data: (_, bytes) => {
        text += decoder.decode(bytes, { stream: true });
        const part = PART.exec(text)?.[0] ?? "";
        screen.write(text.slice(0, text.length - part.length));
        text = part;
      },
    },
  });
  await until(
    () => /worker +up /.test(screen.text) && /web +up /.test(screen.text),
    "all is shown",
  );
  const top = drawScreen(screen, "svctl top");
  child.terminal?.write("q");
  await child.exited;
  return { top, plot };
}

async function main(directory: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "sysmgr-pictures."));
  mkdirSync(`${scratch}/tmp`);
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    SYSDIR: examples,
    RUNDIR: `${scratch}/run`,
    TMPDIR: `${scratch}/tmp`,
    TZ: "UTC",
  };
  const sysmgr = Bun.spawn([`${bin}/sysmgr`, "-q"], { env, stdio: ["ignore", "ignore", "ignore"] });
  try {
    await until(() => Bun.file(`${scratch}/run/pid`).size > 0, "sysmgr works");
    const pictures = await take(env);
    for (const [name, text] of Object.entries(pictures))
      await Bun.write(join(directory, `${name}.svg`), text);
  } finally {
    sysmgr.kill("SIGTERM");
    await sysmgr.exited;
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) await main(process.argv[2] ?? join(root, "docs"));
