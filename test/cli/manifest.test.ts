import assert from "node:assert/strict";
import { test } from "node:test";
import { escapePath, unescapePath } from "../../src/cli/escape.ts";
import { UsageError } from "../../src/cli/exit-codes.ts";
import { type ManifestEntry, parseManifestEntry, printManifestEntry } from "../../src/cli/manifest.ts";
import { parseKey } from "../../src/index.ts";

const key = parseKey("ab".repeat(32));

test("any bytes survive the escaping, as one line without tabs", () => {
  const names = [
    Buffer.from("plain name.txt"),
    Buffer.from("tab\there, line\nthere, \r, back\\slash, \u007f, \u0001"),
    Buffer.from("äöü €𝄞 \u2028"),
    Buffer.from([0xff, 0x61, 0xc3, 0xe2, 0x82, 0xf0, 0x9d, 0x84, 0xc3, 0xa4, 0x80]),
    Buffer.from([0xed, 0xa0, 0x80, 0xc0, 0xaf, 0xf8]),
    Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1)),
  ];
  for (const name of names) {
    const text = escapePath(name);
    assert.doesNotMatch(text, /[\t\n\r]/);
    assert.equal(Buffer.from(text).toString(), text, "valid UTF-8");
    assert.deepEqual(unescapePath(text), name);
  }
  assert.equal(escapePath(Buffer.from([0x61, 0xff, 0x0a])), "a\\xff\\n");
  for (const text of ["a\\", "\\q", "\\x1", "\\xZZ"]) assert.throws(() => unescapePath(text), UsageError, text);
});

test("every entry is read back as it was printed", () => {
  const entries: ManifestEntry[] = [
    { kind: "file", key, size: 0, mode: 0o644, path: Buffer.from("a") },
    { kind: "file", key, size: 4096 ** 3, mode: 0o4755, path: Buffer.from("a b/c\nd/\xff", "latin1") },
    { kind: "folder", mode: 0o1777, path: Buffer.from(".") },
    { kind: "folder", mode: 0, path: Buffer.from("...") },
    { kind: "link", mode: 0o777, path: Buffer.from("l"), target: Buffer.from("/etc/\t") },
  ];
  for (const entry of entries) assert.deepEqual(parseManifestEntry(printManifestEntry(entry)), entry);
  assert.equal(printManifestEntry(entries[0] as ManifestEntry), `${key}\t0\t100644\ta`);
});

test("lines that are no entries, and paths that lead out of the tree, are refused", () => {
  const paths = [
    "",
    "/",
    "/etc/passwd",
    "..",
    "../a",
    "a/../../b",
    "a//b",
    "a/",
    "./a",
    "a/.",
    "a\\x00b",
    "a/\\x2e\\x2e/b",
  ];
  const lines = [
    ...paths.map((path) => `${key}\t1\t100644\t${path}`),
    "",
    "nonsense",
    `${key}\t1\t100644`,
    `${key}\t-1\t100644\ta`,
    `${key}\t1\t644\ta`,
    `${key}\t1\t100649\ta`,
    `${key}\t1\t100644\ta\tb`,
    `-\t1\t100644\ta`,
    `${key}\t0\t040755\ta`,
    `-\t0\t120777\ta`,
    `-\t0\t120777\ta\t`,
    `-\t0\t120777\ta\tx\\x00`,
    `-\t0\t120777\ta\tb\tc`,
    `-\t0\t060644\tdevice`,
  ];
  for (const line of lines) assert.throws(() => parseManifestEntry(line), UsageError, JSON.stringify(line));
});
