/** Dependencies as a tree, for dot, and as a picture. */
import { describe, expect, test } from "bun:test";
import { complete, dot, type Node, tree } from "../../src/eyes/graph.ts";
import { draw } from "../../src/eyes/graph-svg.ts";
import { xmlFault } from "../lib/xml.ts";

/** "a:b c" is a service that needs two. */
function nodes(...words: string[]): Node[] {
  return words.map((word) => {
    const [name = "", needs = ""] = word.split(":");
    return { name, state: "up", needs: needs.split(" ").filter((n) => n !== "") };
  });
}

describe("tree", () => {
  test("what is needed is below, what is alone comes last", () => {
    expect(tree(nodes("alone", "app:web db", "db:disk", "disk", "web:db"))).toBe(`app: up
|-- web: up
|   \`-- db: up
|       \`-- disk: up
\`-- db: up (see above)
alone: up
`);
  });

  test("a cycle ends where it began", () => {
    expect(tree(nodes("a:b", "b:a", "c:a"))).toBe(`c: up
\`-- a: up
    \`-- b: up
        \`-- a: up (cycle)
`);
    expect(tree(nodes("a:a"))).toBe("a: up\n`-- a: up (cycle)\n");
  });

  test("what is asked for and not there is unknown", () => {
    expect(tree(complete(nodes("a:b")))).toBe("a: up\n`-- b: unknown\n");
  });

  test("every service is there, in a mesh of a hundred too", () => {
    const mesh = Array.from({ length: 100 }, (_, i) => {
      const needs = Array.from({ length: i }, (_, j) => `n${j}`).join(" ");
      return `n${i}:${needs}`;
    });
    const text = tree(nodes(...mesh));
    for (let i = 0; i < 100; i++) expect(text).toContain(`n${i}: up`);
    expect(text.split("\n").length).toBeLessThan(6_000);
  });

  test("nothing for nothing", () => expect(tree([])).toBe(""));
});

test("dot quotes what it must", () => {
  expect(dot(nodes('a"b:c\\x1b', "c\\x1b"))).toBe(`digraph services {
  rankdir=LR;
  node [shape=box, style=filled];
  "a\\"b" [fillcolor=palegreen];
  "c\\\\x1b" [fillcolor=palegreen];
  "a\\"b" -> "c\\\\x1b";
}
`);
});

describe("picture", () => {
  const place = (svg: string, name: string) => {
    const [, x] = svg.match(new RegExp(`<rect x="([\\d.]+)"[^>]*><title>${name}:`)) ?? [];
    return Number(x);
  };

  test("each service is left of what it needs", () => {
    const svg = draw(nodes("app:web db", "db:disk", "disk", "web:db", "alone"));
    expect(xmlFault(svg)).toBeNull();
    const xs = ["app", "web", "db", "disk"].map((name) => place(svg, name));
    expect(xs).toEqual([...xs].sort((a, b) => a - b));
    expect(new Set(xs).size).toBe(4);
    expect(svg.match(/<path d="M\d+ \d+ C/g)?.length).toBe(4);
  });

  test.each([
    ["nothing", []],
    ["a cycle", nodes("a:b", "b:c", "c:a")],
    ["itself", nodes("a:a")],
    ["names that are markup", nodes(`<b>&"':x\\xff`, "x\\xff", "]]>")],
    ["long names", nodes(`${"x".repeat(300)}:${"é".repeat(200)}`, "é".repeat(200))],
    ["200 alone", nodes(...Array.from({ length: 200 }, (_, i) => `service-${i}`))],
    ["200 in a chain", nodes(...Array.from({ length: 200 }, (_, i) => `n${i}:n${i + 1}`))],
    ["200 that need one", nodes("db", ...Array.from({ length: 199 }, (_, i) => `n${i}:db`))],
  ])("is well-formed, with every service once: %s", (_, given) => {
    const all = complete(given);
    const svg = draw(all);
    expect(xmlFault(svg)).toBeNull();
    expect(svg.match(/ class="box /g)?.length ?? 0).toBe(all.length);
    expect(svg).not.toContain("NaN");
  });

  test("no two boxes are in the same place", () => {
    const mixed = Array.from({ length: 200 }, (_, i) =>
      i % 3 === 0 ? `n${i}` : `n${i}:n${Math.floor(i / 2)} n${Math.floor(i / 5)}`,
    );
    const svg = draw(nodes(...mixed));
    const places = [...svg.matchAll(/<rect x="([\d.]+)" y="([\d.]+)"[^>]*class="box/g)].map(
      ([, x, y]) => `${x} ${y}`,
    );
    expect([places.length, new Set(places).size]).toEqual([200, 200]);
  });
});
