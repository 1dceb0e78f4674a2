import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isLoosePrefix,
  loosePath,
  MAX_PACK_ID,
  packFileName,
  parseLoosePath,
  parsePackFileName,
  parseSegmentFileName,
  parseTocFileName,
  segmentFileName,
  tocFileName,
} from "../../src/format/paths.ts";
import { parseKey } from "../../src/key/object-key.ts";

const key = parseKey("0123456789abcdef".repeat(4));

test("names of packs, tables of contents and segments read back as they were printed", () => {
  for (const id of [0, 1, 9, 10, 255, 65_536, MAX_PACK_ID]) {
    for (const version of [1, 2] as const) assert.equal(parsePackFileName(packFileName(id, version), version), id);
    assert.equal(parseTocFileName(tocFileName(id)), id);
    assert.equal(parseSegmentFileName(segmentFileName(id)), id);
  }
  assert.deepEqual(
    [packFileName(7, 1), packFileName(7, 2), tocFileName(7), segmentFileName(7)],
    ["7", "7.pack", "7.toc", "00000007.seg"],
  );
});

test("other names are not taken for ours", () => {
  for (const name of [
    "",
    "x",
    "01",
    "+1",
    "1.0",
    "1e3",
    " 1",
    "0x1",
    "-2",
    "99999999999",
    "7.lock",
    "7.pack",
    "lock",
  ]) {
    assert.equal(parsePackFileName(name, 1), undefined, name);
  }
  for (const name of [
    "",
    ".pack",
    "01.pack",
    "7",
    "7.PACK",
    "7.pack.tmp",
    "x.pack",
    "-1.pack",
    "7.toc",
    "99999999999.pack",
  ]) {
    assert.equal(parsePackFileName(name, 2), undefined, name);
  }
  for (const name of ["", ".toc", "7", "7.toc~", "x.toc", "007.toc"])
    assert.equal(parseTocFileName(name), undefined, name);
  for (const name of ["7.seg", ".seg", "0000000x.seg", "00000007.seg.tmp", "MANIFEST"])
    assert.equal(parseSegmentFileName(name), undefined, name);
});

test("paths of loose objects for every prefix length", () => {
  for (const length of [0, 1, 2, 3, 4]) {
    const path = loosePath("/c/loose", length, key);
    const parts = path.slice("/c/loose/".length).split("/");
    assert.equal(parts.length, length === 0 ? 1 : 2);
    const [prefix, name] = length === 0 ? ["", parts[0]] : parts;
    assert.equal(prefix?.length, length);
    assert.equal(parseLoosePath(prefix as string, name as string), key);
    assert.equal(parseLoosePath(prefix as string, `${name}x`), undefined);
    assert.equal(parseLoosePath(prefix as string, (name as string).toUpperCase()), undefined);
    if (length === 0) continue;
    assert.ok(isLoosePrefix(prefix as string, length));
    assert.equal(isLoosePrefix(`${prefix}0`, length), false);
    assert.equal(isLoosePrefix("g".repeat(length), length), false);
    assert.equal(isLoosePrefix("A".repeat(length), length), false);
  }
});
