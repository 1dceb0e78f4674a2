// A container whose folder is moved away, or that gets another one in its place, while it is open.
import assert from "node:assert/strict";
import { cpSync, existsSync, renameSync } from "node:fs";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import { prose } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";

const content = prose(500, 1);
const other = prose(500, 2);

for (const to of ["loose", "packed"] as const)
  for (const isFlushed of [false, true])
    for (const inserted of [content, other]) {
      const what = `an insert (${to}) of content that was ${inserted === content ? "" : "not "}there${isFlushed ? ", with an index" : ""}`;
      const prepared = async (): Promise<{ root: string; container: Container }> => {
        const { root, container } = await newContainer();
        await Array.fromAsync(container.insertMany([content], { to: "packed" }));
        if (isFlushed) await container.rebuildIndex();
        return { root, container };
      };

      // It was acknowledged: the object was in the folder that was gone, or in a new one that was no container.
      test(`moved away: ${what} is refused`, async () => {
        const { root, container } = await prepared();
        renameSync(root, `${root}-old`);
        await assert.rejects(Array.fromAsync(container.insertMany([inserted], { to })), { code: "NOT_A_CONTAINER" });
        assert.ok(!existsSync(root));
        await container.close();
      });

      test(`another one in its place: ${what} is refused`, async () => {
        const { root, container } = await prepared();
        renameSync(root, `${root}-old`);
        await using successor = await Container.create(root);
        await Array.fromAsync(successor.insertMany([prose(700, 3)], { to: "packed" }));
        if (isFlushed) await successor.rebuildIndex();
        await assert.rejects(Array.fromAsync(container.insertMany([inserted], { to })), { code: "NOT_A_CONTAINER" });
        assert.equal(await successor.has(keyOf(inserted)), false);
        await container.close();
      });

      test(`an earlier state of it in its place: ${what} stores it there`, async () => {
        const { root, container } = await newContainer();
        await Array.fromAsync(container.insertMany([prose(700, 4)], { to: "packed" }));
        if (isFlushed) await container.rebuildIndex();
        cpSync(root, `${root}-copy`, { recursive: true });
        await Array.fromAsync(container.insertMany([content], { to: "packed" }));
        if (isFlushed) await container.rebuildIndex();
        renameSync(root, `${root}-old`);
        renameSync(`${root}-copy`, root);
        // Whoever opens it now keeps the other one out, and is kept out.
        await using second = await Container.open(root, { lockTimeoutMs: 0 });
        const results = container.insertMany([inserted], { to });
        assert.equal((await results.next()).value.inserted, true);
        if (to === "packed") await assert.rejects(second.clean(), { code: "LOCKED" });
        await results.return?.();
        assert.ok(await second.has(keyOf(inserted)));
        assert.equal(await container.has(keyOf(content)), inserted === content);
        assert.deepEqual((await second.validate()).problems, []);
        await container.close();
      });
    }

test("while a writer has not committed yet: nothing of it goes to the other folder", async () => {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany([prose(700, 4)], { to: "packed" }));
  cpSync(root, `${root}-copy`, { recursive: true });
  const sources = async function* (): AsyncGenerator<Uint8Array> {
    yield content;
    renameSync(root, `${root}-old`);
    renameSync(`${root}-copy`, root);
  };
  await assert.rejects(Array.fromAsync(container.insertMany(sources(), { to: "packed" })), { code: "NOT_A_CONTAINER" });
  await using second = await Container.open(root);
  assert.equal(await second.has(keyOf(content)), false);
  const { problems, leftovers } = await second.validate();
  assert.deepEqual([problems, leftovers], [[], []]);
  await container.close();
});

// Of a container without packs, it was NOT_FOUND, and named a file that no user knows.
test("moved away: an insert into a container that has no packs yet is refused", async () => {
  const { root, container } = await newContainer();
  renameSync(root, `${root}-old`);
  const expected = { code: "NOT_A_CONTAINER", message: `${root} was moved away or removed while it was open` };
  await assert.rejects(container.insert(content), expected);
  assert.ok(!existsSync(root));
  await container.close();
});
