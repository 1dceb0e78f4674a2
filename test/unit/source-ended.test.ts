import assert from "node:assert/strict";
import { test } from "node:test";
import { TsdosError } from "../../src/errors.ts";
import { importArchive } from "../../src/maintenance/archive/import-archive.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { fromFile } from "../../src/store/source.ts";
import { noise } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { writeFile } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

const LARGE = noise(9_000_000, 1);

/** Pieces of a large content, which knows whether it was told to end. */
class Watched {
  ended = false;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < this.#bytes.length; at += 700_000) yield this.#bytes.subarray(at, at + 700_000);
    } finally {
      this.ended = true;
    }
  }
}

type Fails = (call: FileCall) => boolean;
const opened: Fails = ({ name, mode, path }) => name === "open" && mode !== "read" && /sandbox|[.]pack/.test(path);
const written: Fails = ({ name, path }) => name === "write" && /sandbox|[.]pack/.test(path);

for (const to of ["loose", "packed"] as const) {
  for (const compress of ["no", "yes"] as const) {
    for (const [what, fails] of Object.entries({ opened, written })) {
      test(`a large source is ended when its place in ${to} objects cannot be ${what} (compress: ${compress})`, async () => {
        const memory = emptyMemoryFolder();
        writeFile(memory, "/large", LARGE);
        const error = new TsdosError("NO_SPACE", "the disk is full");
        const fs = new InterceptedFileSystem(memory, (call) => (fails(call) ? { error } : undefined));
        const { combined, close } = openOn(fs, {});
        const source = new Watched(LARGE);
        await assert.rejects(combined.insert(source, { to, compress }), /the disk is full/);
        assert.ok(source.ended, "the source was not told");
        await assert.rejects(combined.insert(fromFile("/large"), { to, compress }), /the disk is full/);
        close();
        assert.deepEqual(
          fs.openFiles.filter((path) => path.startsWith("/large") || path.startsWith(`${MEMORY_ROOT}/sandbox`)),
          [],
        );
      });
    }
  }
}

test("the pieces of an archive are ended when they cannot be imported", async () => {
  const parts: Buffer[] = [];
  const { combined, close } = openOn(emptyMemoryFolder(), {});
  await combined.insert(LARGE, { to: "packed" });
  await writeArchive(combined, (bytes) => void parts.push(Buffer.from(bytes)), {});
  close();
  for (const fails of [opened, written]) {
    const error = new TsdosError("NO_SPACE", "the disk is full");
    const fs = new InterceptedFileSystem(emptyMemoryFolder(), (call) => (fails(call) ? { error } : undefined));
    const target = openOn(fs, {});
    const source = new Watched(Buffer.concat(parts));
    await assert.rejects(importArchive(target.combined, source, {}), /the disk is full/);
    assert.ok(source.ended);
    target.close();
  }
});
