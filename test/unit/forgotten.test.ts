import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Container } from "../../src/index.ts";
import { noise, smallContents } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";
import { openFiles, skipWithoutOpenFiles } from "../support/open-files.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Garbage is collected a few times, since what one iteration held is garbage only when that has ended. */
async function untilCollected(isDone: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !isDone(); i++) {
    collectGarbage();
    await setImmediate();
  }
  assert.ok(isDone());
}

/** Who took the first result of a call and forgot the rest kept all others from packing, until the container was closed. */
for (const formatVersion of [1, 2] as const) {
  test(`an insertMany that is forgotten gives the packer lock back (version ${formatVersion})`, async () => {
    const { root, container } = await newContainer({ formatVersion });
    await using other = await Container.open(root);
    const contents = smallContents(6000, 1);
    const begin = async (): Promise<string | undefined> => {
      const first = await container.insertMany(contents, { to: "packed" }).next();
      return first.done ? undefined : first.value.key;
    };
    const key = await begin();
    await assert.rejects(other.pack({ lockTimeoutMs: 0 }), { code: "LOCKED" });
    let isFree = false;
    await untilCollected(() => {
      void other.pack({ lockTimeoutMs: 0 }).then(
        () => {
          isFree = true;
        },
        () => undefined,
      );
      return isFree;
    });
    assert.ok(await container.has(key ?? ""));
    assert.ok((await other.validate()).valid);
  });

  /** Its file stayed open as long as the process lived, and the space of the object was taken also when that had been deleted. */
  test(`a stream that is forgotten after a piece closes its file (version ${formatVersion})`, {
    skip: skipWithoutOpenFiles,
  }, async () => {
    const { root, container } = await newContainer({ formatVersion });
    const { key } = await container.insert(noise(9_000_000, 1));
    const openLoose = (): boolean => openFiles("self").some((path) => path.startsWith(`${root}/loose/`));
    const reading = [
      async () => (await container.extract(key))?.stream().getReader().read(),
      async () => (await container.extract(key))?.[Symbol.asyncIterator]().next(),
    ];
    for (const begin of reading) {
      await begin();
      assert.ok(openLoose());
      await untilCollected(() => !openLoose());
    }
  });
}
