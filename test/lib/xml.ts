/** Whether a text is well-formed XML, as far as what we write goes: strict, without DTDs and CDATA. */

const NAME = "[A-Za-z][\\w-]*";
const ATTRIBUTES = `(?:\\s+${NAME}="(?:[^<&"]|&(?:amp|lt|gt|quot|#39);)*")*`;
const TOKEN = new RegExp(`<(/?)(${NAME})(${ATTRIBUTES})\\s*(/?)>|([^<]+)`, "y");

/** null when it is, else what is wrong. */
export function xmlFault(text: string): string | null {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text)) return "a character that XML has not";
  const body = text.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, "");
  const open: string[] = [];
  let roots = 0;
  for (TOKEN.lastIndex = 0; TOKEN.lastIndex < body.length; ) {
    const at = TOKEN.lastIndex;
    const [whole, closes, name, attributes = "", empty, content] = TOKEN.exec(body) ?? [];
    if (whole === undefined) return `not a tag: ${body.slice(at, at + 60)}`;
    const names = [...attributes.matchAll(/([\w-]+)="/g)].map(([, n]) => n);
    if (new Set(names).size !== names.length) return `an attribute twice: ${whole}`;
    if (content !== undefined) {
      if (/&(?!(?:amp|lt|gt|quot|#39);)/.test(content)) return `a bare &: ${content}`;
      if (open.length === 0 && content.trim() !== "") return `text outside: ${content}`;
    } else if (closes) {
      if (open.pop() !== name) return `closes what is not open: ${whole}`;
    } else {
      if (open.length === 0) roots++;
      if (!empty) open.push(name ?? "");
    }
  }
  if (open.length > 0) return `not closed: ${open.join(" ")}`;
  return roots === 1 ? null : `${roots} roots`;
}
