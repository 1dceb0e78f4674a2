import assert from "node:assert/strict";
import {
  ARCHIVE_BLOCK,
  parseArchiveHeader,
  parseArchiveRecord,
  parseArchiveTrailer,
  printArchiveHeader,
  printArchiveRecord,
  printArchiveTrailer,
} from "../../src/format/archive.ts";
import { sealTocEntry } from "../../src/format/entry.ts";
import { keyOf } from "../../src/key/hash.ts";
import { importArchive } from "../../src/maintenance/archive/import-archive.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";
import { allowCoded, type Target } from "./target.ts";

const contents = [new Uint8Array(), prose(30, 1), prose(3000, 2), noise(700, 3), prose(2000, 4)];

async function sample(to: "loose" | "packed"): Promise<Buffer> {
  const { combined, close } = openOn(emptyMemoryFolder(), {});
  await Array.fromAsync(combined.insertMany(contents, { to, compress: "yes" }));
  const pieces: Buffer[] = [];
  await writeArchive(combined, (bytes) => void pieces.push(Buffer.from(bytes)), {});
  close();
  return Buffer.concat(pieces);
}

/** Makes the checksum of every block right that begins as one. */
function reseal(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  for (const magic of ["TSDOSARC", "TSR1", "TSE1"]) {
    for (let at = copy.indexOf(magic); at >= 0; at = copy.indexOf(magic, at + 1)) {
      if (at + ARCHIVE_BLOCK <= copy.length) sealTocEntry(copy, at);
    }
  }
  return copy;
}

export const archiveTargets: readonly Target[] = [
  {
    name: "archive",
    samples: [await sample("loose"), await sample("packed")],
    reseal,
    async run(bytes) {
      const { combined, close } = openOn(emptyMemoryFolder(), {});
      const third = Math.ceil(bytes.length / 3);
      const pieces = [bytes.subarray(0, third), bytes.subarray(third, third + 1), bytes.subarray(third + 1)];
      const report = await allowCoded(() => importArchive(combined, pieces, {}));
      const found = await Array.fromAsync(combined.keys());
      if (report !== undefined) assert.equal(found.length, report.importedObjects);
      for await (const { key, object } of combined.extractMany(found)) {
        assert.equal(
          keyOf((await object?.bytes()) as Uint8Array),
          key,
          "something else than its key says was imported",
        );
      }
      for (const { code, message } of report?.problems ?? []) assert.ok(code.length > 0 && message.length > 0);
      close();
    },
    cost: 30,
  },
  {
    name: "blocks of an archive",
    samples: [
      printArchiveHeader({ id: "0123456789ab" }),
      printArchiveRecord({
        id: "0123456789ab",
        key: keyOf(prose(5)),
        storedSize: 5,
        rawSize: 700,
        codec: 2,
        checksum: 7,
      }),
      printArchiveTrailer({
        id: "0123456789ab",
        objects: 5,
        rawBytes: 700,
        storedBytes: 5,
        recordsHash: keyOf(prose(6)),
      }),
    ],
    reseal,
    run(bytes) {
      const header = parseArchiveHeader(bytes);
      if (header !== undefined) assert.equal(parseArchiveHeader(printArchiveHeader(header))?.id, header.id);
      const record = parseArchiveRecord(bytes);
      if (record !== undefined) assert.deepEqual(parseArchiveRecord(printArchiveRecord(record)), record);
      const trailer = parseArchiveTrailer(bytes);
      if (trailer !== undefined) assert.deepEqual(parseArchiveTrailer(printArchiveTrailer(trailer)), trailer);
    },
  },
];
