/** Pieces of the pictures that graph and plot draw: SVG 1.1 that needs nothing but a browser. */

/** Width of a character of the font below at its size, and a bit more. */
export const CHARACTER = 7.3;

const STYLE = `text { font: 12px "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #24292f; }
  .small { font-size: 11px; fill: #57606a; }
  .title { font-weight: bold; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .edge { stroke: #8c959f; stroke-width: 1.3; fill: none; }
  .cycle { stroke: #cf222e; stroke-dasharray: 4 3; }
  .unknown { stroke: #8c959f; stroke-width: 1.5; stroke-dasharray: 2 3; }
  .up { fill: #4ac26b; }
  .starting { fill: #d4a72c; }
  .waiting { fill: #f2d7a0; }
  .stopping { fill: #bf8700; }
  .finishing { fill: #a475f9; }
  .backoff { fill: #ff8182; }
  .failed { fill: #e5534b; }
  .down { fill: #d0d7de; }
  .none { fill: #ffffff; }
  .box { stroke: #57606a; stroke-width: 1; }`;

/** Text within an element or an attribute. */
export function escapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (c) => entities[c] ?? "");
}

type Attributes = Readonly<Record<string, string | number>>;

/** `<name a="1">content</name>`; the content is markup already, or none. */
export function element(name: string, attributes: Attributes, content = ""): string {
  const words = Object.entries(attributes).map(([key, value]) => {
    const text = typeof value === "number" ? String(Math.round(value * 10) / 10) : escapeXml(value);
    return ` ${key}="${text}"`;
  });
  return content === ""
    ? `<${name}${words.join("")}/>`
    : `<${name}${words.join("")}>${content}</${name}>`;
}

export function text(x: number, y: number, words: string, attributes: Attributes = {}): string {
  return element("text", { x, y, ...attributes }, escapeXml(words));
}

/** A box with words that show up when one points at it. */
export function box(
  place: { x: number; y: number; width: number; height: number },
  kind: string,
  hint: string,
  attributes: Attributes = {},
): string {
  const shape = { ...place, class: kind, ...attributes };
  return element("rect", shape, element("title", {}, escapeXml(hint)));
}

export function line(x1: number, y1: number, x2: number, y2: number, kind: string): string {
  return element("line", { x1, y1, x2, y2, class: kind });
}

/** The whole picture, on white. */
export function document(
  width: number,
  height: number,
  title: string,
  parts: readonly string[],
): string {
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  return `<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}">
<title>${escapeXml(title)}</title>
<style>
  ${STYLE}
</style>
<rect width="${w}" height="${h}" fill="#ffffff"/>
${parts.join("\n")}
</svg>
`;
}

/** A name that is too long for its place, without its middle. */
export function shorten(name: string, most: number): string {
  const characters = [...name];
  if (characters.length <= most) return name;
  const half = Math.floor((most - 1) / 2);
  return [...characters.slice(0, half), "…", ...characters.slice(-(most - 1 - half))].join("");
}
