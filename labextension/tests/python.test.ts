/** Code in colours: every character stays, and what it is follows Python. */

import { describe, expect, it } from "vitest";
import { pieces } from "../src/view/python";

const joined = (code: string): string =>
  pieces(code)
    .map(({ text }) => text)
    .join("");
const kindOf = (code: string, part: string) => pieces(code).find(({ text }) => text === part)?.kind;

describe("pieces of code", () => {
  it.each([
    ["for", "keyword"],
    ["range", "builtin"],
    ["10", "number"],
    ["# all", "comment"],
    ["'a'", "string"],
    ["None", "keyword"],
  ])("know what %s is", (part, kind) => {
    expect(kindOf("for i in range(10):  # all\n    x = 'a' if i else None", part)).toBe(kind);
  });

  it("take a keyword inside a string for a string", () => {
    expect(pieces('"""for\nall"""')).toEqual([{ text: '"""for\nall"""', kind: "string" }]);
  });

  it("see the code between the braces of an f-string", () => {
    expect(kindOf('f"of {len(x)} for"', "len")).toBe("builtin");
    expect(kindOf('f"of {len(x)} for"', 'f"of ')).toBe("string");
  });

  it.each([
    ["nothing", ""],
    ["what is not Python", '<img src=x onerror="alert(1)"> ```` é \u202e\n\n\t'],
    ["an open string", "x = '''no end"],
    ["a very long cell", "x = 1\n".repeat(5000)],
  ])("joined are the code: %s", (_, code) => {
    expect(joined(code)).toBe(code);
  });
});
