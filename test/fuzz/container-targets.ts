import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdCodec } from "../../src/codec/codec.ts";
import { setU32 } from "../../src/format/bytes.ts";
import { crc32Of } from "../../src/format/crc32.ts";
import { codecIds, ENTRY_SIZE } from "../../src/format/entry.ts";
import { printSealedJson } from "../../src/format/sealed-json.ts";
import { printSeekTable } from "../../src/format/seek-table.ts";
import { FOOTER_SIZE, PAGE_ROW_SIZE, PAGE_SIZE, pageCount } from "../../src/format/segment.ts";
import { Container, describeFile } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { statusOf } from "../../src/maintenance/status.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { inSteps } from "../../src/store/context.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { MemoryFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";
import { readFile, writeFile } from "../support/port-files.ts";
import { emptyMemoryFolder, flushIndex, MEMORY_ROOT, openOn } from "../support/stores.ts";
import { resealBlocks, resealManifest } from "./binary-targets.ts";
import { allowCoded, type Target } from "./target.ts";

const PACKED = `${MEMORY_ROOT}/packed`;

const contents: readonly Uint8Array[] = [
  new Uint8Array(),
  prose(20, 1),
  prose(3000, 2),
  noise(1500, 3),
  ...Array.from({ length: 80 }, (_, i) => prose(10 + i * 7, 10 + i)),
];
const inFrames = Buffer.concat([prose(500, 5), prose(700, 6), prose(30, 7)]);
const keys: readonly ObjectKey[] = [...contents, inFrames].map(keyOf);
/** Asked for one by one. */
const asked = [...keys.slice(0, 8), ...keys.slice(-2)];
const absent = keyOf(Buffer.from("absent"));

/** Files of a small container, by path. */
async function sampleFiles(): Promise<Map<string, Uint8Array>> {
  const fs = emptyMemoryFolder();
  const stores = openOn(fs, { compression: "zstd:+3", packSizeTarget: 8000 });
  await Array.fromAsync(stores.combined.insertMany(contents, { to: "packed", compress: "yes" }));
  await addInFrames(stores.combined.packed);
  await stores.combined.packed.delete([keyOf(contents[9] as Uint8Array)]);
  await flushIndex(stores);
  await Array.fromAsync(stores.combined.insertMany([prose(99, 99)], { to: "packed" }));
  stores.close();
  const names = (folder: string): string[] => (fs.list(folder) ?? []).map((name) => `${folder}/${name}`);
  const paths = [...names(PACKED), ...names(`${PACKED}/index`)].filter((path) => fs.stat(path)?.isFile);
  return new Map(paths.map((path) => [path, readFile(fs, path)]));
}

/** An object in small frames, as large ones have large frames. */
async function addInFrames(packed: ReturnType<typeof openOn>["combined"]["packed"]): Promise<void> {
  const writer = await packed.openWriter("test", true, {});
  const pieces = [inFrames.subarray(0, 600), inFrames.subarray(600, 1200), inFrames.subarray(1200)];
  const stored = pieces.map((piece) => zstdCodec.compress(piece, 3));
  const table = printSeekTable(
    pieces.map((piece, i) => ({ storedSize: (stored[i] as Uint8Array).length, rawSize: piece.length })),
  );
  writer.add(keyOf(inFrames), Buffer.concat([...stored, table]), inFrames.length, codecIds["zstd-frames"]);
  writer.commit();
  writer.close();
}

const files = await sampleFiles();
const pathsThat = (end: string): string[] => [...files.keys()].filter((path) => path.endsWith(end));

function sampleContainer(): MemoryFileSystem {
  const fs = new MemoryFileSystem();
  for (const folder of ["loose", "packed/index", "sandbox"]) fs.makeDirectory(`${MEMORY_ROOT}/${folder}`);
  for (const [name, content] of files) writeFile(fs, name, content);
  return fs;
}

/** Everything that can be asked of a container, over its files with one of them replaced. */
async function askAll(path: string, bytes: Uint8Array): Promise<void> {
  const fs = sampleContainer();
  writeFile(fs, path, bytes);
  const stores = openOn(fs, { packSizeTarget: 8000 });
  const { combined } = stores;
  try {
    for (const key of [...asked, absent]) {
      await allowCoded(() => combined.has(key));
      const object = await allowCoded(() => combined.extract(key, { verify: "hash" }));
      if (object === undefined) continue;
      const content = await allowCoded(() => object.bytes());
      if (content !== undefined) assert.equal(keyOf(content), key, "bytes that are not those of the key");
      await allowCoded(() => Array.fromAsync(object.slice(5, 700)));
    }
    await allowCoded(async () => {
      for await (const { key, object } of combined.extractMany(keys, { verify: "hash" })) {
        const content = await allowCoded(async () => object?.bytes());
        if (content !== undefined) assert.equal(keyOf(content), key);
      }
    });
    await allowCoded(async () => {
      let last = "";
      for await (const key of combined.keys()) {
        // A segment whose checksums are right is believed to be sorted.
        assert.ok(key > last || path.endsWith(".seg"), "keys in order, each once");
        last = key;
      }
    });
    await allowCoded(() => statusOf(combined));
    await allowCoded(() => validate(combined, {}));
    await writeMore(stores);
  } finally {
    stores.close();
  }
}

/** What is acknowledged after the damage must read back, now and after a rebuild. */
async function writeMore({ combined, index }: ReturnType<typeof openOn>): Promise<void> {
  const more = prose(1234, 77);
  const key = keyOf(more);
  const result = await allowCoded(() => combined.insert(more, { to: "packed", checkExisting: true }));
  const readsBack = async (): Promise<void> => {
    const object = await combined.extract(key);
    assert.ok(object !== undefined, "what was acknowledged is gone");
    assert.equal(keyOf(await object.bytes()), key);
  };
  if (result !== undefined) await readsBack();
  const rebuilt = await allowCoded(() =>
    combined.packed.exclusively("rebuild", {}, () => inSteps(index.rebuilding(true))),
  );
  if (result !== undefined && rebuilt !== undefined) await readsBack();
}

function resealSegment(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length < FOOTER_SIZE) return copy;
  const entries = Math.floor((copy.length - FOOTER_SIZE) / (ENTRY_SIZE + PAGE_ROW_SIZE / 64));
  const table = copy.length - FOOTER_SIZE - pageCount(entries) * PAGE_ROW_SIZE;
  for (let page = 0; page < pageCount(entries) && table >= 0; page++) {
    const end = Math.min(table, (page + 1) * PAGE_SIZE);
    setU32(copy, table + page * PAGE_ROW_SIZE + 4, crc32Of(copy, page * PAGE_SIZE, end));
  }
  setU32(copy, copy.length - 46, crc32Of(copy, Math.max(0, table), copy.length - FOOTER_SIZE));
  setU32(copy, copy.length - 4, crc32Of(copy, copy.length - FOOTER_SIZE, copy.length - 4));
  return copy;
}

function fileTargets(name: string, end: string, reseal?: Target["reseal"]): Target[] {
  return pathsThat(end).map((path, i) => ({
    name: `${name} ${i} of a container`,
    samples: [files.get(path) as Uint8Array],
    ...(reseal !== undefined && { reseal }),
    run: (bytes) => askAll(path, bytes),
    cost: 200,
  }));
}

/** `describeFile` prints any file of that name. */
function dumpTarget(name: string, samples: readonly Uint8Array[]): Target {
  const folder = temporaryFolder();
  return {
    name: `dump of ${name}`,
    samples,
    run(bytes) {
      const path = join(folder, name);
      writeFileSync(path, bytes);
      for (const record of describeFile(path)) JSON.stringify(record);
    },
    cost: 20,
  };
}

const fixture = join(import.meta.dirname, "../fixtures/dos-basic");

/** Version 1: everything about the container, with another `packs.idx`. */
function sqliteTarget(): Target {
  const folder = mkdtempSync(join(temporaryFolder(), "v1-"));
  return {
    name: "packs.idx of a container",
    samples: [readFileSync(join(fixture, "packs.idx"))],
    async run(bytes) {
      rmSync(folder, { recursive: true, force: true });
      cpSync(fixture, folder, { recursive: true });
      writeFileSync(join(folder, "packs.idx"), bytes);
      await allowCoded(async () => {
        await using container = await Container.open(folder, { durability: "process", lockTimeoutMs: 0 });
        const found = (await allowCoded(() => Array.fromAsync(container.keys()))) ?? [];
        for (const key of found) {
          const object = await allowCoded(() => container.extract(key, { verify: "hash" }));
          const content = await allowCoded(async () => object?.bytes());
          if (content !== undefined) assert.equal(keyOf(content), key);
        }
        await allowCoded(() => container.status());
        await allowCoded(() => container.validate());
        await allowCoded(() => container.pack());
        await allowCoded(() => container.delete(found.slice(0, 1)));
      });
    },
    cost: 1000,
  };
}

/** Goes on from a checkpoint, which may be any file that the user names. */
function checkpointTarget(): Target {
  const checkpoint = {
    format: 1,
    containerId: "0123456789abcdef0123456789abcdef",
    mode: "full",
    since: "2026-01-01T00:00:00.000Z",
    mark: { loose: asked[1], place: { packId: 0, tocOffset: 192 } },
    objects: 3,
    bytes: 700,
    problems: [{ code: "CORRUPT_OBJECT", message: "damaged", path: "x", key: absent, offset: 3 }],
    problemCount: 1,
  };
  return {
    name: "checkpoint of a validation",
    samples: [checkpoint, { ...checkpoint, mark: {} }, { ...checkpoint, mark: { loose: absent } }].map((each) =>
      Buffer.from(printSealedJson(each)),
    ),
    reseal: resealManifest,
    async run(bytes) {
      const fs = sampleContainer();
      writeFile(fs, "/checkpoint", bytes);
      const stores = openOn(fs, { packSizeTarget: 8000 });
      try {
        const options = { resume: true, checkpoint: "/checkpoint", threads: 1 };
        const report = await allowCoded(() => validate(stores.combined, options));
        if (report === undefined) return;
        assert.ok(Number.isSafeInteger(report.objects) && Number.isSafeInteger(report.bytes));
        for (const { code, message } of report.problems)
          assert.ok(typeof code === "string" && typeof message === "string");
        assert.equal(report.valid, report.problems.length === 0);
        JSON.stringify(report);
      } finally {
        stores.close();
      }
    },
    cost: 100,
  };
}

const sampleOf = (end: string): Uint8Array[] => pathsThat(end).map((path) => files.get(path) as Uint8Array);

export const containerTargets: readonly Target[] = [
  ...fileTargets("TOC", ".toc", resealBlocks).slice(0, 2),
  ...fileTargets("pack", ".pack").slice(0, 2),
  ...fileTargets("segment", ".seg", resealSegment).slice(0, 1),
  ...fileTargets("MANIFEST", "MANIFEST", resealManifest),
  sqliteTarget(),
  checkpointTarget(),
  dumpTarget("0.toc", sampleOf(".toc")),
  dumpTarget("00000001.seg", sampleOf(".seg")),
  dumpTarget("MANIFEST", sampleOf("MANIFEST")),
  dumpTarget("0.pack", sampleOf(".pack")),
  dumpTarget("packs.idx", [readFileSync(join(fixture, "packs.idx"))]),
  dumpTarget("config.json", [readFileSync(join(fixture, "config.json"))]),
];
