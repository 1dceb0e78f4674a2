import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { escapePath, unescapePath } from "../../src/cli/escape.ts";
import { UsageError } from "../../src/cli/exit-codes.ts";
import { type ManifestEntry, parseManifestEntry, printManifestEntry } from "../../src/cli/manifest.ts";
import { ManifestOrder } from "../../src/cli/manifest-order.ts";
import { walkTree } from "../../src/cli/tree-files.ts";
import { parseKey } from "../../src/index.ts";
import { temporaryFolder } from "../support/folders.ts";

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
    `${key}\t1\t100644\t.`,
    `-\t0\t120777\t.\ttarget`,
  ];
  for (const line of lines) assert.throws(() => parseManifestEntry(line), UsageError, JSON.stringify(line));
});

/** Takes paths as they come; `/` at the end of a folder's, `@` of a link's. */
function takeInOrder(...paths: readonly string[]): void {
  const order = new ManifestOrder();
  for (const text of paths) {
    const path = Buffer.from(text.replace(/[/@]$/, ""), "latin1");
    if (text.endsWith("/")) order.add({ kind: "folder", mode: 0o755, path });
    else if (text.endsWith("@")) order.add({ kind: "link", mode: 0o777, path, target: Buffer.from("x") });
    else order.add({ kind: "file", mode: 0o644, path, key, size: 1 });
  }
}

// Paths that no tree can have beside each other were met in the middle of a restore, as an IO_ERROR of the system. Now the order of a
// manifest shows them before anything is written.
test("the order of a walk is accepted; a path twice, below a file or link, or out of place is refused", () => {
  const folder = temporaryFolder();
  const names = ["!", "-x", "a!b", "a/x", "a/b/c", "a b", "a.txt", "ab", "b", "\u00e4", "\u0001", "Z/!", "..."];
  for (const name of names) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), "");
  }
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/a`), Buffer.of(0xff)]), "");
  const walked = Array.from(
    walkTree(folder),
    ({ kind, name }) => `${name.toString("latin1")}${kind === "folder" ? "/" : ""}`,
  );
  assert.equal(walked.length, names.length + 1 + 4);
  takeInOrder(...walked);
  takeInOrder("a/x", "b@", "b.x", "c/d/e", "d");
  for (const [message, ...paths] of [
    [/"f" comes twice/, "f", "f"],
    [/"\." comes twice/, "./", "./"],
    [/"d" comes twice/, "d/", "d"],
    [/"f\/g" leads through "f", which is a file/, "f", "f/g"],
    [/"l\/evil\/x" leads through "l", which is a link/, "l@", "l/evil/x"],
    [/"f" belongs before "f\/g"/, "f/g", "f"],
    [/"f\/g" belongs before "f b"/, "f@", "f b", "f/g"],
    [/"\." belongs before "!"/, "!", "./"],
    [/"a" belongs before "b"/, "b", "a"],
  ] as const)
    assert.throws(
      () => takeInOrder(...paths),
      (error) => error instanceof UsageError && message.test(error.message),
      paths.join(),
    );
});
