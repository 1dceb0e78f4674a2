import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { Container } from "../../src/container/container.ts";
import { holdLock, OsLock } from "../../src/fs/os-lock.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { loosePathOf } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

const lockNames = { 1: "sandbox/tsdos.removals.lock", 2: "packed/removals.lock" } as const;
const osLock = new URL("../../src/fs/os-lock.ts", import.meta.url).href;

/** Another thread that holds the lock for a while; it says before it frees it what the file's size is: -1 when it is gone. */
async function holdElsewhere(lock: string, file: string): Promise<{ readonly sizeSeen: () => Promise<number> }> {
  const code = `
    const { parentPort } = await import("node:worker_threads");
    const { existsSync, statSync } = await import("node:fs");
    const { OsLock } = await import(${JSON.stringify(osLock)});
    const lock = new OsLock(${JSON.stringify(lock)}, ${JSON.stringify(`${lock}.holder`)});
    if (!lock.tryAcquire("test")) throw new Error("the lock is not free");
    parentPort.postMessage("held");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    const file = ${JSON.stringify(file)};
    parentPort.postMessage(existsSync(file) ? statSync(file).size : -1);
    lock.close();`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
  await once(worker, "message");
  const seen = once(worker, "message") as Promise<[number]>;
  return { sizeSeen: async () => (await seen)[0] };
}

for (const formatVersion of [1, 2] as const) {
  test(`deletes and commits of a pack wait for each other (version ${formatVersion})`, async () => {
    const root = join(temporaryFolder(), "container");
    await using container = await Container.create(root, { durability: "process", formatVersion });
    const results = await Array.fromAsync(container.insertMany(smallContents(20, 3)));
    const [first, ...rest] = results.map(({ key }): string => key) as [string, ...string[]];
    const lock = join(root, lockNames[formatVersion]);
    const loose = loosePathOf(root, first);

    const whileDeleting = await holdElsewhere(lock, loose);
    assert.deepEqual(await container.delete([first]), [first]);
    assert.ok((await whileDeleting.sizeSeen()) >= 0, "the file was removed while another held the lock");
    assert.ok(!existsSync(loose));

    const entries = join(root, formatVersion === 2 ? "packed/0.toc" : "packs.idx-wal");
    const before = existsSync(entries) ? statSync(entries).size : -1;
    const whilePacking = await holdElsewhere(lock, entries);
    await container.pack({ durability: "process" });
    assert.ok(
      (await whilePacking.sizeSeen()) <= Math.max(before, 64),
      "entries were written while another held the lock",
    );
    assert.deepEqual(await Array.fromAsync(container.keys()), rest.sort());
    assert.equal((await container.validate()).valid, true);
  });
}

test("who cannot have a lock that is held for an instant gives up in the end, and does nothing", () => {
  const path = join(temporaryFolder(), "lock");
  const held = new OsLock(path, `${path}.holder`);
  const wanted = new OsLock(path, `${path}.holder`);
  assert.ok(held.tryAcquire("test"));
  assert.throws(() => holdLock(wanted, "again", 20, () => assert.fail("it was done")), { code: "LOCKED" });
  held.close();
  assert.equal(
    holdLock(wanted, "again", 20, () => 7),
    7,
  );
  assert.throws(
    () =>
      holdLock(wanted, "again", 20, () => {
        throw new Error("failed");
      }),
    /failed/,
  );
  assert.ok(!wanted.held, "it is free after a failure, too");
  wanted.close();
});
