import assert from "node:assert/strict";
import { createReadStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import type { Source } from "../../src/store/source.ts";
import { temporaryFolder } from "../support/folders.ts";

const TEXT = Buffer.from("some content");
const blobStream = (size = 200_000): ReadableStream<Uint8Array> => new Blob([Buffer.alloc(size, 1)]).stream();

async function consumed<T extends AsyncIterable<Uint8Array>>(stream: T): Promise<T> {
  for await (const _ of stream);
  return stream;
}

// Who tried again with the stream with which an insert had failed was given the key of the empty object.
test("a stream that was read or cancelled before is SOURCE_FAILED, not empty content", async () => {
  await using container = await Container.create(join(temporaryFolder(), "c"));
  const cancelled = blobStream();
  await cancelled.cancel();
  const failed = blobStream(6_000_000);
  const reason = new Error("on purpose");
  async function* sources(): AsyncGenerator<Source> {
    yield failed;
    throw reason;
  }
  await assert.rejects(Array.fromAsync(container.insertMany(sources(), { to: "packed" })), reason);
  for (const source of [await consumed(Readable.from([TEXT])), await consumed(blobStream()), cancelled, failed]) {
    for (const to of ["loose", "packed", "auto"] as const)
      await assert.rejects(container.insert(source, { to }), (error) => isTsdosError(error, "SOURCE_FAILED"));
  }
});

test("streams without content, and the rest of streams, are stored", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "c"));
  writeFileSync(join(folder, "empty"), "");
  const closed = new ReadableStream({ start: (controller) => controller.close() });
  const ended = new PassThrough().end();
  for (const source of [createReadStream(join(folder, "empty")), closed, ended, Readable.from([]), blobStream(0)])
    assert.equal((await container.insert(source)).rawSize, 0);
  const rest = ReadableStream.from([TEXT, TEXT]);
  const reader = rest.getReader();
  await reader.read();
  reader.releaseLock();
  assert.equal((await container.insert(rest)).rawSize, TEXT.length);
});

test("an iterator may answer without promises, as for await allows", async () => {
  await using container = await Container.create(join(temporaryFolder(), "c"));
  let told = 0;
  // biome-ignore lint/suspicious/noExplicitAny: what the type does not allow is the matter of this test.
  const items = (count: number, value: unknown): any => ({
    [Symbol.asyncIterator]: () => ({
      next: () => (count-- > 0 ? { done: false, value } : { done: true }),
      return: () => {
        told++;
        return { done: true };
      },
    }),
  });
  const { signal } = new AbortController();
  const { key, rawSize } = await container.insert(items(2, TEXT), { signal });
  assert.equal(rawSize, 2 * TEXT.length);
  for await (const result of container.readMany(items(3, key), { signal })) {
    assert.equal(result.bytes?.length, rawSize);
    break;
  }
  for await (const result of container.insertMany(items(2000, TEXT), { signal })) {
    assert.equal(result.rawSize, TEXT.length);
    break;
  }
  assert.equal(told, 1);
});
