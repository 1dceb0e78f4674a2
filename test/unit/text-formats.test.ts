import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError } from "../../src/errors.ts";
import { MAX_U48 } from "../../src/format/bytes.ts";
import { parseCompression, printCompression } from "../../src/format/compression-spec.ts";
import { type ContainerConfig, parseConfig, printConfig } from "../../src/format/config.ts";
import { type Manifest, parseManifest, printManifest } from "../../src/format/manifest.ts";
import { isObjectKey, parseKey } from "../../src/key/object-key.ts";
import { hex, type Next, property, randomBytes, spoiled, upTo } from "../support/random.ts";

function randomManifest(next: Next): Manifest {
  const some = (): number[] => Array.from({ length: next() % 5 }, () => upTo(2 ** 32 - 1, next));
  return {
    generation: upTo(2 ** 40, next),
    segments: some().map((number) => ({ number, entries: upTo(2 ** 40, next) })),
    covered: new Map(some().map((id) => [id, upTo(MAX_U48, next)])),
    valid: new Map(some().map((id) => [id, upTo(MAX_U48, next)])),
    damaged: some().map((packId) => ({ packId, offset: upTo(MAX_U48, next) })),
    retired: some(),
  };
}

property("MANIFEST reads back as it was printed; any other text is undefined", (next) => {
  const manifest = randomManifest(next);
  const text = printManifest(manifest);
  assert.deepEqual(parseManifest(text), manifest);
  const other = Buffer.from(spoiled(Buffer.from(text), next)).toString();
  if (!other.startsWith(text)) assert.equal(parseManifest(other), undefined);
});

property("a compression reads back as it was printed, in both spellings", (next) => {
  const codec = (["none", "zlib", "zstd"] as const)[next() % 3]!;
  const spec =
    codec === "none"
      ? { codec }
      : codec === "zlib"
        ? { codec, level: 1 + (next() % 9) }
        : { codec, level: (next() % 131_095) - 131_072 };
  for (const version of [1, 2] as const) assert.deepEqual(parseCompression(printCompression(spec, version)), spec);
});

test("compressions in every spelling that is in use, and no others", () => {
  const good = {
    none: "none",
    "zlib+1": "zlib 1",
    "zlib:+9": "zlib 9",
    "zlib:3": "zlib 3",
    zlib: "zlib 1",
    "zstd:-1": "zstd -1",
    "zstd:+22": "zstd 22",
    zstd: "zstd 3",
    "zstd:0": "zstd 0",
    "zstd-7": "zstd -7",
  };
  for (const [text, meaning] of Object.entries(good)) {
    const spec = parseCompression(text);
    assert.equal(spec.codec === "none" ? "none" : `${spec.codec} ${spec.level}`, meaning);
  }
  for (const text of [
    "",
    "gzip",
    "zlib+0",
    "zlib+10",
    "zlib:",
    "zlib1",
    "zstd:23",
    "zstd:-131073",
    "none+1",
    "ZLIB+1",
    "zlib+1.5",
    "zlib++1",
    "zlib:+1x",
  ]) {
    assert.throws(
      () => parseCompression(text),
      (error) => isTsdosError(error, "INVALID_CONFIG"),
      text,
    );
  }
});

property("a configuration reads back as it was printed, with the fields that it does not know", (next) => {
  const config: ContainerConfig = {
    containerVersion: next() % 2 === 0 ? 1 : 2,
    containerId: hex(randomBytes(16, next)),
    hashType: "sha256",
    loosePrefixLen: next() % 5,
    packSizeTarget: 1 + upTo(MAX_U48 - 1, next),
    compression: ["none", "zlib+1", "zstd:-1"][next() % 3]!,
    compressionSpec: { codec: "none" },
    unknownFields: next() % 2 === 0 ? {} : { written_by: "another tool", nested: { list: [1, null, "x"] } },
  };
  const read = parseConfig(printConfig(config), "/c/config.json");
  assert.deepEqual(read, { ...config, compressionSpec: parseCompression(config.compression) });
});

test("a key is 64 lowercase hexadecimal digits", () => {
  const key = "0123456789abcdef".repeat(4);
  assert.equal(parseKey(key), key);
  for (const wrong of [
    "",
    key.slice(1),
    `${key}0`,
    key.toUpperCase(),
    key.replace("0", "g"),
    `${key}\n`,
    ` ${key.slice(1)}`,
    "x".repeat(1000),
  ]) {
    assert.equal(isObjectKey(wrong), false);
    assert.throws(
      () => parseKey(wrong),
      (error) => isTsdosError(error, "INVALID_KEY") && error.message.length < 300,
    );
  }
  for (const wrong of [undefined, null, 5, {}, [key], Buffer.from(key)]) assert.equal(isObjectKey(wrong), false);
});

property("no parser of text is surprised by random or spoiled text", (next) => {
  const config = printConfig(parseConfig('{"container_version": 2}', "x"));
  const texts = [
    randomBytes(next() % 100, next),
    spoiled(Buffer.from(printManifest(randomManifest(next))), next),
    spoiled(Buffer.from(config), next),
  ];
  for (const text of texts.map((bytes) => Buffer.from(bytes).toString())) {
    parseManifest(text);
    for (const parse of [
      () => parseConfig(text, "/c/config.json"),
      () => parseCompression(text),
      () => parseKey(text),
    ]) {
      try {
        parse();
      } catch (error) {
        assert.ok(isTsdosError(error), `${String(error)} for ${JSON.stringify(text)}`);
      }
    }
  }
});
