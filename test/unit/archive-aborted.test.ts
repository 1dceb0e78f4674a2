import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArchiveBytes } from "../../src/index.ts";
import { noise, smallContents } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";

const stalled = new Promise<void>(() => {});

/** Who aborted an import whose archive had stalled, as a network does, waited for ever, and so did all who wanted the packer lock. */
test("an abort ends the wait for the bytes of an archive, and gives the packer lock back", async () => {
  const { container } = await newContainer();
  await Array.fromAsync(container.insertMany([...smallContents(100, 1), noise(5_000_000, 2)]));
  const pieces: Uint8Array[] = [];
  await container.exportArchive((bytes) => void pieces.push(bytes.slice()));
  const archive = Buffer.concat(pieces);
  // In the middle of small objects, and of the large one.
  for (const size of [3000, archive.length / 2]) {
    const { container: other } = await newContainer();
    const controller = new AbortController();
    const cut = async function* (): AsyncGenerator<Uint8Array> {
      yield archive.subarray(0, size);
      setImmediate(() => controller.abort());
      await stalled;
    };
    await assert.rejects(other.importArchive(cut(), { signal: controller.signal }), { name: "AbortError" });
    assert.equal((await other.importArchive([archive], { lockTimeoutMs: 0 })).importedObjects, 101);
    assert.ok((await other.validate({ threads: 1 })).valid);
  }
});

test("an abort ends the wait for who takes the bytes of an archive", async () => {
  const { container } = await newContainer();
  await Array.fromAsync(container.insertMany([...smallContents(100, 1), noise(5_000_000, 2)]));
  for (const taken of [0, 2]) {
    const controller = new AbortController();
    let pieces = 0;
    const sink = async (): Promise<void> => {
      if (pieces++ < taken) return;
      setImmediate(() => controller.abort());
      await stalled;
    };
    await assert.rejects(container.exportArchive(sink, { signal: controller.signal }), { name: "AbortError" });
    assert.equal(pieces, taken + 1);
  }
});

test("what is no archive in pieces is refused in words", async () => {
  const { container } = await newContainer();
  for (const wrong of [Buffer.from("one piece"), "text", ["text"], [null], new Blob(["x"]), undefined]) {
    await assert.rejects(container.importArchive(wrong as unknown as ArchiveBytes), {
      name: "TypeError",
      message: /is no Uint8Array: |expected an iterable/,
    });
  }
  await container.pack({ lockTimeoutMs: 0 });
});
