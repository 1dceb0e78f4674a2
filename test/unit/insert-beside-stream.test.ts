import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import type { InsertManyOptions } from "../../src/store/object-store.ts";
import { newContainer } from "../support/damage.ts";
import { openFiles } from "../support/open-files.ts";

const small = Buffer.from("small");
const piece = Buffer.alloc(1024 ** 2, "0123456789abcdefghijk");

/** Gives some pieces, waits until it is let go on, and gives one more. */
function hanging(pieces: number): { readonly stream: AsyncIterable<Uint8Array>; goOn(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stream = async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < pieces; i++) yield piece;
    await promise;
    yield piece;
  };
  return { stream: stream(), goOn: resolve };
}

const versions = [1, 2] as const;
const places: readonly InsertManyOptions[] = [
  { to: "loose" },
  { to: "packed", compress: "no" },
  { to: "packed", compress: "yes" },
  { to: "auto" },
];
for (const version of versions)
  for (const options of places)
    for (const pieces of [0, 1, 9]) {
      const what = `version ${version}, ${JSON.stringify(options)}, a stream that stops after ${pieces} MiB`;
      // What came before a stream that gave nothing waited for its end: for ever, if need be.
      test(`what comes before is acknowledged: ${what}`, async () => {
        const { root, container } = await newContainer({ formatVersion: version, durability: "full" });
        const { stream, goOn } = hanging(pieces);
        const results = container.insertMany([small, stream, Buffer.from("third")], options);
        const first = await results.next();
        assert.equal(first.value.index, 0);
        await using other = await Container.open(root);
        assert.ok(await other.has(first.value.key), "others have it by then");
        goOn();
        const rest = await Array.fromAsync(results);
        assert.deepEqual(
          rest.map(({ index, rawSize }) => [index, rawSize]),
          [
            [1, (pieces + 1) * piece.length],
            [2, 5],
          ],
        );
        assert.deepEqual((await container.validate()).problems, []);
        await container.close();
      });

      test(`who then has enough leaves nothing behind: ${what}`, async () => {
        const { root, container } = await newContainer({ formatVersion: version });
        const openHere = (): number => openFiles("self").filter((path) => path.startsWith(root)).length;
        await container.insert(Buffer.from("before"), { to: "packed" });
        const before = openHere();
        const { stream } = hanging(pieces);
        for await (const { index } of container.insertMany([small, stream], options)) {
          assert.equal(index, 0);
          break;
        }
        const left = readdirSync(join(root, "sandbox")).filter((name) => name.endsWith(".tmp"));
        assert.deepEqual(left, []);
        const { problems, objects, leftovers } = await container.validate();
        assert.deepEqual([problems, objects, leftovers], [[], 2, []]);
        await container.insert(Buffer.from("next"), { to: "packed" });
        assert.equal(openHere(), before);
        await container.close();
      });
    }

test("a stream that fails after what came before was acknowledged", async () => {
  const { container } = await newContainer();
  const failing = async function* (): AsyncGenerator<Uint8Array> {
    yield piece;
    await gate.promise;
    throw new Error("gone");
  };
  const gate = Promise.withResolvers<void>();
  const failed: number[] = [];
  const onSourceError = (_: unknown, index: number): unknown => failed.push(index);
  const results = container.insertMany([small, failing(), Buffer.from("third")], { to: "packed", onSourceError });
  assert.equal((await results.next()).value.index, 0);
  gate.resolve();
  // Nobody listens for a while.
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(await Array.fromAsync(results, ({ index }) => index), [2]);
  assert.deepEqual(failed, [1]);
  await container.close();
});

// The stream's beginning stands in the pack when what came before it is committed. Taking it back cut off what others had appended.
test("version 1: what another program appends beside a stream stays, though the commit meanwhile is refused", async () => {
  const { root, container } = await newContainer({ formatVersion: 1 });
  await container.insert(Buffer.from("before"), { to: "packed" });
  const path = join(root, "packs/0");
  const beside = async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 6; i++) yield piece;
    appendFileSync(path, "of others");
    await new Promise(() => undefined);
  };
  await assert.rejects(Array.fromAsync(container.insertMany([small, beside()], { to: "packed", compress: "no" })), {
    code: "LOCKED",
  });
  await container.close();
  const bytes = readFileSync(path);
  assert.equal(bytes.subarray(-9).toString(), "of others");
});
