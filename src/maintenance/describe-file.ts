import { basename } from "node:path";
import { TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { parseConfig } from "../format/config.ts";
import {
  codecName,
  ENTRY_SIZE,
  isTombstone,
  isValidTocEntry,
  readRecord,
  recordKey,
  tocEntryToRecord,
} from "../format/entry.ts";
import { compressedFormat, MAGIC_PREFIX } from "../format/magic.ts";
import { parseManifest } from "../format/manifest.ts";
import {
  CONFIG_FILE,
  MANIFEST_FILE,
  parsePackFileName,
  parseSegmentFileName,
  parseTocFileName,
  SQLITE_INDEX_FILE,
} from "../format/paths.ts";
import { FOOTER_SIZE, parseSegmentFooter } from "../format/segment.ts";
import { parseTocHeader, tocHeaderSize } from "../format/toc-header.ts";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import { openSqliteIndex } from "../pack-index/sqlite-index.ts";
import { readText } from "../read-text.ts";
import { locatedBatches } from "./located-batches.ts";
import { slotsOf } from "./toc-slots.ts";

/** One line of {@link describeFile}. What does not hold what it should has `damaged`, which says what is wrong. */
export type DumpRecord = Readonly<Record<string, unknown>> & { readonly damaged?: string };

/** Bytes; text files of the format are far smaller. */
const TEXT_MAX = 64 * 1024 ** 2;

/**
 * Describes a file of a container, record by record: `config.json`, `N.toc`, `*.seg`, `MANIFEST`, `packs.idx`, `N.pack`.
 * The first record says what kind of file it is.
 * @throws TsdosError `NOT_FOUND`; RangeError for a name that no file of the format has
 */
export function* describeFile(path: string, options: { readonly signal?: AbortSignal } = {}): Generator<DumpRecord> {
  for (const record of recordsOf(path)) {
    options.signal?.throwIfAborted();
    yield record;
  }
}

function recordsOf(path: string): Iterable<DumpRecord> {
  const fs = new NodeFileSystem();
  const name = basename(path);
  if (name === CONFIG_FILE) return describeConfig(fs, path);
  if (name === MANIFEST_FILE) return describeManifest(fs, path);
  if (name === SQLITE_INDEX_FILE) return describeSqlite(fs, path);
  const tocId = parseTocFileName(name);
  if (tocId !== undefined) return describeToc(fs, path, tocId);
  if (parseSegmentFileName(name) !== undefined) return describeSegment(fs, path);
  const packId = parsePackFileName(name, 2) ?? parsePackFileName(name, 1);
  if (packId !== undefined) return describePack(fs, path, packId);
  throw new RangeError(
    `${path} is no file of the format by its name: expected config.json, MANIFEST, packs.idx, N.toc, N.pack, or NNNNNNNN.seg`,
  );
}

function* describeConfig(fs: FileSystem, path: string): Generator<DumpRecord> {
  yield { file: "config", path };
  const text = textOf(fs, path);
  try {
    yield { ...parseConfig(text, path) };
  } catch (error) {
    yield { damaged: (error as Error).message };
  }
}

function* describeManifest(fs: FileSystem, path: string): Generator<DumpRecord> {
  yield { file: "manifest", path };
  const manifest = parseManifest(textOf(fs, path));
  if (manifest === undefined) {
    yield { damaged: "the checksum is wrong, or it is cut" };
    return;
  }
  yield { generation: manifest.generation };
  for (const { number, entries } of manifest.segments) yield { segment: number, entries };
  for (const [packId, covered] of manifest.covered) yield { packId, covered, valid: manifest.valid.get(packId) };
  for (const { packId, offset } of manifest.damaged) yield { packId, damagedEntryAt: offset };
}

function* describeSqlite(fs: FileSystem, path: string): Generator<DumpRecord> {
  if (fs.stat(path) === undefined) fs.open(path, "read");
  yield { file: "sqlite-index", path };
  const index = openSqliteIndex({ fs, path, readOnly: true });
  try {
    for (const batch of locatedBatches(index)) {
      for (const { key, entry } of batch) {
        const { packId, offset, storedSize, rawSize, codec } = entry;
        yield { key, packId, offset, storedSize, rawSize, compressed: codec !== 0 };
      }
    }
  } finally {
    index.close();
  }
}

function* describeToc(fs: FileSystem, path: string, packId: number): Generator<DumpRecord> {
  const file = fs.open(path, "read");
  try {
    const size = fs.size(file);
    yield { file: "toc", path, size };
    const first = new Uint8Array(ENTRY_SIZE);
    fs.read(file, first, 0, ENTRY_SIZE, 0);
    const headerSize = tocHeaderSize(first) ?? ENTRY_SIZE;
    const header = new Uint8Array(headerSize);
    fs.read(file, header, 0, headerSize, 0);
    const parsed = parseTocHeader(header);
    if (parsed === undefined) yield { at: 0, damaged: "no valid header" };
    else if (parsed.packId === packId) yield { at: 0, ...parsed };
    else yield { at: 0, ...parsed, damaged: `the header is that of pack ${parsed.packId}` };
    for (const { at, bytes } of slotsOf(fs, file, headerSize, size)) {
      if (bytes.length < ENTRY_SIZE) {
        yield { at, damaged: `the file ends with ${bytes.length} bytes of an entry` };
      } else if (isValidTocEntry(bytes, 0)) {
        tocEntryToRecord(bytes, 0, packId);
        yield { at, ...entryFields(bytes) };
      } else {
        yield { at, damaged: "the entry's checksum is wrong" };
      }
    }
  } finally {
    fs.close(file);
  }
}

function* describeSegment(fs: FileSystem, path: string): Generator<DumpRecord> {
  const file = fs.open(path, "read");
  try {
    const size = fs.size(file);
    yield { file: "segment", path, size };
    const footerBytes = new Uint8Array(Math.min(FOOTER_SIZE, size));
    fs.read(file, footerBytes, 0, footerBytes.length, size - footerBytes.length);
    const footer = parseSegmentFooter(footerBytes, size);
    if (footer === undefined) {
      yield { at: size - footerBytes.length, damaged: "no valid footer" };
      return;
    }
    yield { at: size - FOOTER_SIZE, ...footer };
    for (const { at, bytes } of slotsOf(fs, file, 0, footer.entries * ENTRY_SIZE)) yield { at, ...entryFields(bytes) };
  } finally {
    fs.close(file);
  }
}

function* describePack(fs: FileSystem, path: string, packId: number): Generator<DumpRecord> {
  const file = fs.open(path, "read");
  try {
    const prefix = Buffer.alloc(MAGIC_PREFIX);
    const first = prefix.subarray(0, fs.read(file, prefix, 0, MAGIC_PREFIX, 0));
    const firstBytes = first.toString("hex", 0, 4);
    const startsWith = first.length > 0 ? { firstBytes, looksLike: compressedFormat(first) } : {};
    yield { file: "pack", path, packId, size: fs.size(file), ...startsWith };
  } finally {
    fs.close(file);
  }
}

function entryFields(bytes: Buffer): DumpRecord {
  const { codec, checksum, flags, ...entry } = readRecord(bytes, 0);
  return {
    key: recordKey(bytes, 0),
    ...entry,
    codec: codecName(codec) ?? codec,
    flags,
    ...(isTombstone(bytes, 0) ? { tombstone: true } : {}),
    checksum: checksum.toString(16).padStart(8, "0"),
  };
}

function textOf(fs: FileSystem, path: string): string {
  const text = readText(fs, path, TEXT_MAX);
  if (text === undefined) throw new TsdosError("NOT_FOUND", `there is no file ${path}`, { path });
  return text;
}
