import assert from "node:assert/strict";
import { test } from "node:test";
import { TsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { type FileCall, InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { append, readFile } from "../support/port-files.ts";
import { batchOf, keyBytes, put } from "../support/records.ts";
import {
  commit,
  corrupt,
  emptyFolder,
  entries,
  FOLDER,
  find,
  holds,
  open,
  segmentNames,
} from "../support/segmented-index.ts";

const ioError = (): { readonly error: Error } => ({ error: new TsdosError("IO_ERROR", "the disk does not answer") });

/** A pack file, since a table of contents counts only when its pack has all that it speaks of. */
function makePack(fs: MemoryFileSystem, packId: number): void {
  append(fs, `${FOLDER}/${packId}.pack`, new Uint8Array(1000));
}

test("a flush that fails does not bring back what is in packs that others have taken the place of", () => {
  const fs = emptyFolder();
  let isBroken = false;
  const index = open(
    new InterceptedFileSystem(fs, ({ name, to }: FileCall) =>
      isBroken && name === "rename" && to?.endsWith("/MANIFEST") ? ioError() : undefined,
    ),
  );
  commit(index, 0, entries(0, 10));
  commit(index, 1, entries(10, 200));
  index.flush(true, true);
  for (const packId of [0, 1, 2]) makePack(fs, packId);
  const replacement = index.repacking.begin(2, [0]);
  replacement.append(batchOf(entries(0, 10).map(({ key, entry }) => put(key, { ...entry, packId: 2 }))));
  for (const _ of replacement.finish([0]));
  index.remove(keyBytes(3), 1, true);
  assert.equal(find(index, 3), undefined);
  isBroken = true;
  assert.throws(() => [...index.compacting(true)], { code: "IO_ERROR" });
  isBroken = false;
  for (const each of [index, open(fs)]) {
    assert.equal(find(each, 3), undefined, "a deleted object is back");
    assert.equal(find(each, 4)?.packId, 2);
  }
  Array.from(index.compacting(true));
  for (const each of [index, open(fs)]) assert.equal(find(each, 3), undefined, "a deleted object is back");
});

test("segments that were opened are closed when another one cannot be", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 200));
  writer.flush(true, true);
  commit(writer, 0, entries(200, 210));
  writer.flush(true, true);
  const [, second] = segmentNames(fs);
  assert.ok(second !== undefined);
  let isBroken = true;
  const files = new InterceptedFileSystem(fs, ({ path }: FileCall) =>
    isBroken && path.endsWith(second) ? ioError() : undefined,
  );
  const reader = open(files);
  for (let attempt = 0; attempt < 3; attempt++) assert.throws(() => find(reader, 1), { code: "IO_ERROR" });
  assert.deepEqual(
    files.openFiles.filter((path) => path.endsWith(".seg")),
    [],
  );
  isBroken = false;
  holds(reader, 0, 210);
  reader.close();
  assert.deepEqual(files.openFiles, []);
});

test("a segment that could not be completed does not stay on the full disk", () => {
  const fs = emptyFolder();
  let isFull = true;
  const index = open(
    new InterceptedFileSystem(fs, ({ name, path }: FileCall) =>
      isFull && name === "write" && path.endsWith(".seg") ? ioError() : undefined,
    ),
  );
  commit(index, 0, entries(0, 100));
  assert.throws(() => index.flush(true, true), { code: "IO_ERROR" });
  assert.deepEqual(segmentNames(fs), []);
  isFull = false;
  index.flush(true, true);
  holds(open(fs), 0, 100);
});

test("very many damaged entries are damage, too", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 10));
  append(fs, `${FOLDER}/0.toc`, new Uint8Array(200_000 * ENTRY_SIZE).fill(1));
  const other = open(fs);
  holds(other, 0, 10);
  assert.equal(find(other, 11), undefined);
  const toc = `${FOLDER}/0.toc`;
  // A valid entry behind them.
  const more = open(fs);
  commit(more, 1, entries(10, 11));
  append(fs, toc, readFile(fs, `${FOLDER}/1.toc`).subarray(ENTRY_SIZE, 2 * ENTRY_SIZE));
  const last = open(fs);
  holds(last, 0, 11);
  assert.throws(() => find(last, 12), corrupt);
});
