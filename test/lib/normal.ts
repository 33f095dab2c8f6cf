/** Whether the output of a command is the one that was written down, but for what always differs. */

const MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const KEY = "pid|start|boot|pidns|since|first|ready|next|finish|finish[-_]start";

/** In this order. */
const PLACEHOLDERS: readonly (readonly [RegExp, string])[] = [
  [/(?:\/tmp|\/var\/tmp|\/dev\/shm|\/run\/user\/\d+)\/[\w.%+-]+/g, "<directory>"],
  [/@[0-9a-f]{24}\b/g, "<time>"],
  [/\b\d{4}-\d\d-\d\d(?:[T_ ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z| UTC|[+-]\d\d:?\d\d)?/g, "<time>"],
  [
    new RegExp(`(?:[A-Z][a-z]{2} )?${MONTH} +\\d+ \\d\\d:\\d\\d:\\d\\d(?: UTC)?(?: \\d{4})?`, "g"),
    "<time>",
  ],
  [/(?<![\d:])\d\d?:\d\d:\d\d(?:\.\d+)?(?![\d:])/g, "<time>"],
  [new RegExp(`\\b(${KEY})=\\S+`, "g"), "$1=<n>"],
  [new RegExp(`"(${KEY})":\\s*(?:"[^"]*"|[\\d.]+)`, "g"), '"$1":<n>'],
  [/(?<![\d.])1\d{9}(?:\.\d+)?(?![\d.])/g, "<time>"],
  [/\b([Pp][Ii][Dd]s?:?) \d+/g, "$1 <n>"],
  [/(?<![\d.])\d+\.\d+\.\d+(?![\d.])/g, "<version>"],
  [/(?<![\w.])\d+(?:\.\d+)? ?(?:us|ms|s|sec|seconds?|min|minutes?|h|hours?|d|days?)\b/g, "<age>"],
  // Columns are as wide as what is in them.
  [/(?<=\S)[ \t]+/g, " "],
];

/** What differs from run to run becomes a placeholder, and the width of gaps does not count. */
export function normalise(line: string): string {
  const text = PLACEHOLDERS.reduce((t, [pattern, to]) => t.replace(pattern, to), line);
  return text.trimEnd();
}

/** Without empty lines in the end. */
function body(lines: readonly string[]): string[] {
  const end = lines.findLastIndex((line) => line.trim() !== "");
  return lines.slice(0, end + 1).map(normalise);
}

/** Whether that is what was expected; in that a line `...` stands for any lines, also none. */
export function agree(expected: readonly string[], got: readonly string[]): boolean {
  return fits(body(expected), body(got));
}

function fits(expected: readonly string[], got: readonly string[]): boolean {
  const any = expected.findIndex((line) => line.trim() === "...");
  const head = any < 0 ? expected : expected.slice(0, any);
  if (!head.every((line, i) => line === got[i])) return false;
  if (any < 0) return got.length === expected.length;
  const rest = expected.slice(any + 1);
  const places = Array.from({ length: got.length - any + 1 }, (_, i) => any + i);
  return places.some((place) => fits(rest, got.slice(place)));
}
