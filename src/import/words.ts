/**
 * How supervisord parts a text into words. A command is parted as Python's shlex.split does it, by
 * sh's quotes and backslashes and by nothing else of sh. The list of an `environment` is parted by
 * another, older set of rules of that module: KEY="value",KEY2=value.
 */
import { Invalid } from "./remarks.ts";

const BLANKS = " \t\r\n";
const NO_QUOTE = "a quote is not closed";

/** Throws Invalid. */
export function splitCommand(text: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at++) {
    const c = text.charAt(at);
    if (BLANKS.includes(c)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (c === "\\") {
      at++;
      if (at === text.length) throw new Invalid("nothing follows the backslash at the end");
      word = (word ?? "") + text.charAt(at);
    } else if (c === "'" || c === '"') {
      const [inside, end] = quoted(text, at);
      word = (word ?? "") + inside;
      at = end;
    } else word = (word ?? "") + c;
  }
  if (word !== null) words.push(word);
  return words;
}

/** What stands in the quotes that begin at a place, and the place of the closing one. */
function quoted(text: string, begin: number): [string, number] {
  const quote = text.charAt(begin);
  let inside = "";
  for (let at = begin + 1; at < text.length; at++) {
    const c = text.charAt(at);
    if (c === quote) return [inside, at];
    // In double quotes a backslash stands for itself, except before a quote or another one.
    if (c === "\\" && quote === '"' && /["\\]/.test(text.charAt(at + 1))) at++;
    inside += text.charAt(at);
  }
  throw new Invalid(NO_QUOTE);
}

/** Names and values, in the order in which a name first comes; the last value counts. Throws Invalid. */
export function splitEnvironment(text: string): Map<string, string> {
  const tokens = tokensOf(text);
  const variables = new Map<string, string>();
  // What parts them is not looked at: there is a comma in most cases.
  for (let at = 0; at < tokens.length; at += 4) {
    const [name = "", equals, value] = tokens.slice(at, at + 3);
    if (equals !== "=" || value === undefined) {
      throw new Invalid(`not NAME="VALUE",...: ${name || "nothing"} has no value`);
    }
    if (name.includes("=")) throw new Invalid(`${name} is not the name of a variable`);
    variables.set(name, value.replace(/^['"]+|['"]+$/g, ""));
  }
  return variables;
}

const WORD = /^[\w/.+\-():]$/;

/** UTF-8 sequences count as one character, neither of a word nor a blank. */
const CHARACTER = /[\xc2-\xf4][\x80-\xbf]+|./gs;

function tokensOf(text: string): string[] {
  const characters: readonly string[] = text.match(CHARACTER) ?? [];
  const tokens: string[] = [];
  let word = "";
  const endWord = () => {
    if (word !== "") tokens.push(word);
    word = "";
  };
  for (let at = 0; at < characters.length; at++) {
    const c = characters[at] ?? "";
    if (BLANKS.includes(c)) endWord();
    else if (c === "#") {
      // A comment to the end of the line; what follows that goes on with the word.
      while (at < characters.length && characters[at] !== "\n") at++;
    } else if (WORD.test(c)) word += c;
    else if (c !== "'" && c !== '"') {
      endWord();
      tokens.push(c);
    } else if (word !== "") word += c;
    else {
      const end = characters.indexOf(c, at + 1);
      if (end < 0) throw new Invalid(NO_QUOTE);
      tokens.push(characters.slice(at, end + 1).join(""));
      at = end;
    }
  }
  endWord();
  return tokens;
}
