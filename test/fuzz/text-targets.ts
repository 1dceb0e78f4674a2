import assert from "node:assert/strict";
import { parseDuration, parseInteger, parsePart, parseRange, parseSize, selectRange } from "../../src/cli/arguments.ts";
import { escapePath, unescapePath } from "../../src/cli/escape.ts";
import { MANIFEST_HEADER, parseManifestEntry, printManifestEntry } from "../../src/cli/manifest.ts";
import { errorCodes, TsdosError } from "../../src/errors.ts";
import { parsePayload } from "../../src/format/backup-protocol.ts";
import { parseCompression, printCompression } from "../../src/format/compression-spec.ts";
import { parseConfig, printConfig } from "../../src/format/config.ts";
import { parseHistory, printHistory } from "../../src/format/history.ts";
import {
  isLoosePrefix,
  packFileName,
  packLockName,
  parsePackFileName,
  parsePackLockName,
} from "../../src/format/paths.ts";
import { parseHolder, printHolder } from "../../src/fs/lock-holder.ts";
import { parseKey } from "../../src/key/object-key.ts";
import { errorFromFields, errorToFields } from "../../src/maintenance/backup/connection.ts";
import { type Next, randomBytes, upTo } from "../support/random.ts";
import { type Target, textOf, texts } from "./target.ts";

const KEY = "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4";

const DEEP = 6000;
const deep = (name: string): string => `{"container_version":2,"${name}":${"[".repeat(DEEP)}${"]".repeat(DEEP)}}`;

const config = {
  container_version: 2,
  loose_prefix_len: 2,
  pack_size_target: 4294967296,
  hash_type: "sha256",
  container_id: "00112233445566778899aabbccddeeff",
  compression_algorithm: "zstd:+3",
};

/** A path of any bytes but NUL. */
function randomPath(next: Next): Buffer {
  const pieces = ["a", "\\", "\t", "\n", "\u00e9", "\u{1f600}", " ", "\u007f", "x41"];
  const parts = Array.from({ length: 1 + (next() % 6) }, () =>
    next() % 3 === 0
      ? randomBytes(1 + (next() % 3), next).map((byte) => (byte === 0 || byte === 0x2f ? 1 : byte))
      : Buffer.from(pieces[next() % pieces.length] as string),
  );
  return Buffer.concat(parts);
}

export const textTargets: readonly Target[] = [
  {
    name: "config",
    samples: [
      ...texts(deep("container_version"), deep("hash_type"), deep("x")),
      ...texts(JSON.stringify(config), JSON.stringify({ container_version: 1 })),
      ...texts(
        JSON.stringify(
          { ...config, container_version: 1, compression_algorithm: "zlib+1", extra: { a: [1] } },
          null,
          4,
        ),
      ),
    ],
    run(bytes) {
      const parsed = parseConfig(textOf(bytes), "config.json");
      assert.ok([1, 2].includes(parsed.containerVersion));
      assert.ok(parsed.loosePrefixLen >= 0 && parsed.loosePrefixLen <= 4);
      assert.ok(Number.isSafeInteger(parsed.packSizeTarget) && parsed.packSizeTarget > 0);
      const again = parseConfig(printConfig(parsed), "config.json");
      assert.deepEqual({ ...again, unknownFields: {} }, { ...parsed, unknownFields: {} });
      // Numbers that JSON can read and not print are null from then on.
      assert.deepEqual(parseConfig(printConfig(again), "config.json"), again);
    },
    generate: (next) =>
      Buffer.from(
        JSON.stringify({
          container_version: 1 + (next() % 2),
          loose_prefix_len: next() % 5,
          pack_size_target: 1 + upTo(2 ** 48 - 2, next),
          compression_algorithm: ["none", "zlib+9", "zlib:3", "zstd:-1", "zstd:+22", "zstd"][next() % 6],
          [String(next())]: next(),
        }),
      ),
  },
  {
    name: "compression",
    samples: texts("none", "zlib+1", "zlib:+9", "zstd:-1", "zstd", "zstd : 3", "zstd:-131072"),
    run(bytes) {
      const spec = parseCompression(textOf(bytes));
      for (const version of [1, 2] as const) assert.deepEqual(parseCompression(printCompression(spec, version)), spec);
    },
    generate: (next) =>
      Buffer.from(
        printCompression(
          next() % 2 === 0
            ? { codec: "zstd", level: 22 - upTo(131_094, next) }
            : { codec: "zlib", level: 1 + (next() % 9) },
        ),
      ),
  },
  {
    name: "key",
    samples: texts(KEY, KEY.toUpperCase(), KEY.slice(1)),
    run: (bytes) => assert.match(parseKey(textOf(bytes)), /^[0-9a-f]{64}$/),
    generate: (next) => Buffer.from(Buffer.from(randomBytes(32, next)).toString("hex")),
  },
  {
    name: "size",
    samples: texts("4GiB", "512 MiB", "1.5K", "1000000", "7 b", "3TB"),
    run(bytes) {
      const size = parseSize(textOf(bytes));
      assert.ok(Number.isSafeInteger(size) && size >= 0);
      assert.equal(parseSize(String(size)), size);
    },
    generate: (next) => Buffer.from(`${upTo(2 ** 52, next)}`),
  },
  {
    name: "duration",
    samples: texts("500ms", "10s", "2m", "0", "1.5h"),
    run(bytes) {
      const ms = parseDuration(textOf(bytes));
      assert.ok(Number.isSafeInteger(ms) && ms >= 0, `${ms} ms`);
      assert.equal(parseDuration(`${ms}ms`), ms);
    },
    generate: (next) => Buffer.from(`${upTo(2 ** 40, next)}ms`),
  },
  {
    name: "range",
    samples: texts("0-99", "5-", "-7", "9007199254740991-9007199254740991"),
    run(bytes) {
      const range = parseRange(textOf(bytes));
      const { start, end } = selectRange(range, 100);
      assert.ok(start >= 0 && start <= end && end <= 100 && Number.isInteger(start) && Number.isInteger(end));
    },
  },
  {
    name: "part",
    samples: texts("5%", "0.05", ".5", "100%", "1"),
    run(bytes) {
      const part = parsePart(textOf(bytes));
      assert.ok(part > 0 && part <= 1);
    },
  },
  {
    name: "integer",
    samples: texts("0", "4", "17", "007"),
    run(bytes) {
      const value = parseInteger(textOf(bytes), 0, 1000);
      assert.ok(Number.isInteger(value) && value >= 0 && value <= 1000);
    },
  },
  {
    name: "escaped path",
    samples: texts("a/b", "tab\\there", "\\xff\\x00\\n\\r\\\\", "\u00e9\u{1f600}"),
    run(bytes) {
      const text = textOf(bytes);
      // Only what is printed is read.
      assert.equal(escapePath(unescapePath(text)), text);
    },
    generate: (next) => {
      const path = randomPath(next);
      const text = escapePath(path);
      assert.deepEqual(unescapePath(text), path);
      assert.doesNotMatch(text, /[\t\n]/);
      return Buffer.from(text);
    },
  },
  {
    name: "manifest of a tree",
    samples: texts(
      MANIFEST_HEADER,
      "-\t0\t040755\t.",
      `${KEY}\t3\t100644\thello.txt`,
      "-\t0\t120777\tsub/link\t../hello.txt",
      `${KEY}\t999999999999999\t104755\ta\\xff/b\\\\`,
    ),
    run(bytes) {
      const line = textOf(bytes);
      const entry = parseManifestEntry(line);
      assert.deepEqual(parseManifestEntry(printManifestEntry(entry)), entry);
      const names = entry.path.toString("latin1").split("/");
      assert.ok(entry.path.toString() === "." || names.every((name) => !["", ".", ".."].includes(name)));
      assert.ok(!entry.path.includes(0));
    },
    generate: (next) => {
      const path = randomPath(next);
      const entry = {
        kind: "file",
        key: parseKey(KEY),
        size: upTo(2 ** 49, next),
        mode: next() % 0o10000,
        // "." is the tree itself, and no file; ".." is outside of it.
        path: /^\.{1,2}$/.test(path.toString("latin1")) ? Buffer.from("a") : path,
      } as const;
      return Buffer.from(printManifestEntry(entry));
    },
  },
  {
    name: "holder of a lock",
    samples: texts(printHolder({ pid: 42, host: "node7", since: "2026-01-01T00:00:00.000Z", doing: "pack" })),
    run(bytes) {
      const holder = parseHolder(textOf(bytes));
      if (holder === undefined) return false;
      assert.ok(Number.isSafeInteger(holder.pid) && holder.pid > 0);
      const again = parseHolder(printHolder(holder));
      return assert.deepEqual(again, { ...holder, doing: holder.doing.slice(0, 100) });
    },
    generate: (next) =>
      Buffer.from(
        printHolder({
          pid: 1 + next(),
          host: "h",
          since: "s",
          doing: Buffer.from(randomBytes(next() % 150, next)).toString("latin1"),
        }),
      ),
  },
  {
    name: "error from the other side of a backup",
    samples: texts(JSON.stringify(errorToFields(new TsdosError("LOCKED", "locked", { path: "x" })))),
    run(bytes) {
      const fields = parsePayload(bytes);
      if (fields === undefined) return false;
      const error = errorFromFields(fields);
      assert.ok(errorCodes.includes(error.code));
      return assert.equal(typeof JSON.stringify(error.details), "string");
    },
  },
  {
    name: "history",
    samples: texts(
      printHistory({
        lastValidation: {
          at: "2026-01-01T00:00:00.000Z",
          mode: "full",
          objects: 1,
          bytes: 2,
          problems: 0,
          durationMs: 5,
        },
        lastBackup: { at: "2026-01-01T00:00:00.000Z", destination: "/x", objects: 1, bytes: 2 },
      }),
    ),
    run(bytes) {
      const history = parseHistory(textOf(bytes));
      assert.equal(printHistory(parseHistory(printHistory(history))), printHistory(history));
    },
  },
  {
    name: "file names",
    samples: texts("0.pack", "4294967294.pack", "17", "-1.lock", "0.lock", "ab"),
    run(bytes) {
      const name = textOf(bytes);
      const pack = parsePackFileName(name, 2);
      if (pack !== undefined) assert.equal(packFileName(pack, 2), name);
      const lock = parsePackLockName(name);
      if (lock !== undefined) assert.equal(packLockName(lock), name);
      if (isLoosePrefix(name, 2)) assert.match(name, /^[0-9a-f]{2}$/);
    },
  },
];
