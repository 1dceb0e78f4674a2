import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { SourceReader } from "../../src/store/source.ts";
import { prose } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";

const MIB = 1024 ** 2;

// A `Uint8Array` whose memory was transferred looks empty: the empty object was stored and acknowledged in its place, or of a large
// one what had been read so far.
test("memory that was transferred or cut is refused, and nothing of it is stored", async () => {
  await using container = await Container.create(join(temporaryFolder(), "c"));
  const gone = (): Uint8Array => {
    const bytes = new Uint8Array(1000);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    return bytes;
  };
  const outside = (): Uint8Array => {
    const memory = new ArrayBuffer(1000, { maxByteLength: 1000 });
    const bytes = new Uint8Array(memory, 500, 500);
    memory.resize(400);
    return bytes;
  };
  const piecewise = async function* (): AsyncGenerator<Uint8Array> {
    yield prose(10);
    yield gone();
  };
  const sources = [gone, outside, piecewise];
  for (const to of ["loose", "packed", "auto"] as const)
    for (const source of sources)
      await assert.rejects(container.insert(source(), { to }), {
        name: "TypeError",
        message: /transferred or resized/,
      });
  assert.deepEqual(await Array.fromAsync(container.keys()), []);
  assert.equal((await container.insert(new Uint8Array())).rawSize, 0);
  for (const left of [0, 3 * MIB, 8 * MIB]) {
    const memory = new ArrayBuffer(9 * MIB, { maxByteLength: 9 * MIB });
    const content = await new SourceReader({ fs: new NodeFileSystem(), root: "/nowhere" }).read(new Uint8Array(memory));
    assert.ok(content.small === undefined);
    let pieces = 0;
    const all = async (): Promise<void> => {
      for await (const _ of content.chunks) if (++pieces === 4) memory.resize(left);
    };
    await assert.rejects(all(), /transferred or resized/);
    assert.equal(pieces, 4);
  }
});
