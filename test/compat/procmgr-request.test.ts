/** procmgr: requests and answers as text, and back. */
import { expect, test } from "bun:test";
import {
  formatAnswer,
  formatDaemon,
  formatRequest,
  parseAnswer,
  parseDaemon,
  parseRequest,
  type Request,
} from "../../src/compat/procmgr/request.ts";

const client = { pid: 42, started: 4711 };

test.each([
  { client, program: "web", action: "start", args: [] },
  {
    client,
    program: "a=b\nc",
    action: "\\x00",
    args: ["", " ", "\n", "\\", "\xff", "arg=x\npid=1"],
  },
] satisfies Request[])("a request survives: %j", (request) => {
  expect(parseRequest(formatRequest(request))).toEqual(request);
});

test.each([
  "",
  "pid=1\nstart=1\nprogram=x\n",
  "pid=1\nstart=1\naction=x\n",
  "pid=0\nstart=1\nprogram=x\naction=x\n",
  "pid=-1\nstart=1\nprogram=x\naction=x\n",
  "pid=4294967297\nstart=1\nprogram=x\naction=x\n",
  "pid=1\nstart=x\nprogram=x\naction=x\n",
  "pid=1\nstart=1\nprogram=a\\x00b\naction=x\n",
  "pid=1\nstart=1\nprogram=x\naction=x\narg=\\x00\n",
])("%j is no request", (text) => {
  expect(parseRequest(text)).toBeNull();
});

test("the first of two values counts, and what is unknown does not", () => {
  const text =
    "later=1\npid=42\npid=1\nstart=4711\nprogram=x\naction=y\nnonsense\naction=z\narg=1\n";
  expect(parseRequest(text)).toEqual({ client, program: "x", action: "y", args: ["1"] });
});

test.each([{ code: 0 }, { code: 255, out: "a\nb", error: "\x1b\\" }])(
  "an answer survives: %j",
  (answer) => {
    expect(parseAnswer(formatAnswer(answer))).toEqual(answer);
  },
);

test.each(["", "code=\n", "code=256\n", "code=-1\n", "out=x\n"])("%j is no answer", (text) => {
  expect(parseAnswer(text)).toBeNull();
});

test("who the daemon is survives", () => {
  expect(parseDaemon(formatDaemon(client))).toEqual(client);
  expect(parseDaemon("pid=42\n")).toBeNull();
});
