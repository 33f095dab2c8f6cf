/** The file config of svlogd. */
import { expect, test } from "bun:test";
import { defaults, parseConfig } from "../../src/log/config.ts";
import { pattern } from "../../src/log/pattern.ts";

test.each<[string, object]>([
  ["", {}],
  ["\n# s1\nfoo\n", {}],
  ["s5000\nn3\nN1\nt60\n", { size: 5000, keep: 3, keepAlways: 1, age: 60 }],
  ["s2k", { size: 2048 }],
  ["s1m\nt2m", { size: 1_048_576, age: 120 }],
  ["t2h\n", { age: 7200 }],
  ["s\nn\n", { size: 0, keep: 0 }],
  ["s12x", { size: 12 }],
  ["!cat\n", { processor: "cat" }],
  ["!\n", { processor: null }],
  ["pweb: \n", { prefix: "web: " }],
  ["u10.0.0.1", { udp: { address: [10, 0, 0, 1], port: 514 } }],
  ["U10.0.0.1:99x", { udp: { address: [10, 0, 0, 1], port: 99 }, udpOnly: true }],
  [
    "-*\n+a b\ne\xff\nE\n",
    {
      patterns: [
        { kind: "deselect", pattern: pattern("*") },
        { kind: "select", pattern: pattern("a b") },
        { kind: "alert", pattern: pattern("\xff") },
        { kind: "quiet", pattern: pattern("") },
      ],
    },
  ],
])("%j", (text, expected) => {
  expect(parseConfig(text)).toEqual({ config: { ...defaults, ...expected }, faults: [] });
});

test("says what is wrong with addresses", () => {
  expect(parseConfig("uhost\nu1.2.3.4:\nU1.2.3:5\n").faults).toEqual([
    "unable to scan ip address: host",
    "unable to scan port number: ",
    "unable to scan ip address: 1.2.3:5",
  ]);
});
