import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { TsdosError } from "../../src/errors.ts";
import { type AsyncKeyHasher, keyOf } from "../../src/key/hash.ts";
import { hashBeside } from "../../src/key/hash-beside.ts";
import { startHashThread } from "../../src/key/hash-thread.ts";
import { openssl } from "../../src/openssl.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

/** Bytes; so much is hashed in a thread of its own. */
const LARGE = 128 * 1024 ** 2;
const WAIT_MS = 10_000;

/** A thread that still runs keeps its process alive. */
async function threadsEnd(): Promise<boolean> {
  for (const end = Date.now() + WAIT_MS; process.getActiveResourcesInfo().includes("MessagePort"); await sleep(5))
    if (Date.now() > end) return false;
  return true;
}

for (const [to, failing] of [
  ["loose", "/sandbox/"],
  ["packed", ".pack"],
] as const) {
  test(`a ${to} insert of large content that cannot begin leaves no thread behind`, async () => {
    const files = new InterceptedFileSystem(emptyMemoryFolder(), ({ name, path }: FileCall) =>
      name === "open" && path.includes(failing) ? { error: new TsdosError("NO_SPACE", "full") } : undefined,
    );
    const stores = openOn(files, { durability: "process" });
    await assert.rejects(stores.combined.insert(new Uint8Array(LARGE), { to }), { code: "NO_SPACE" });
    assert.ok(await threadsEnd());
    stores.close();
  });
}

/** The two ways of hashing beside the caller. */
for (const [name, start] of [
  ["a thread", startHashThread],
  ["a thread of the runtime", async () => hashBeside(LARGE)],
] as const) {
  const skip =
    name !== "a thread" && openssl() === undefined ? "needs Linux, koffi, and a runtime that shows its OpenSSL" : false;

  test(`${name} that was closed takes nothing more, and does not let anybody wait`, { skip }, async () => {
    const hasher = (await start()) as AsyncKeyHasher;
    await hasher.update(Buffer.from("abc"));
    hasher.close();
    const since = performance.now();
    assert.throws(() => hasher.update(Buffer.from("def")), /closed/);
    assert.ok(performance.now() - since < WAIT_MS);
    assert.ok(await threadsEnd());
  });

  test(`${name} finds the same key`, { skip }, async () => {
    for (const [size, step] of [
      [0, 1],
      [1, 1],
      [1024 ** 2, 1024 ** 2],
      [3_000_000, 700_000],
      [40_000_000, 39_000_000],
      [70_000_000, 262_144],
    ] as const) {
      const bytes = Buffer.alloc(size, "some content ");
      const hasher = (await start()) as AsyncKeyHasher;
      try {
        const chunk = Buffer.alloc(step);
        for (let at = 0; at < bytes.length; at += step) {
          const length = bytes.copy(chunk, 0, at);
          await hasher.update(chunk.subarray(0, length));
          // It may be changed by now.
          chunk.fill(1);
        }
        assert.equal(await hasher.key(), keyOf(bytes), `${size} bytes, ${step} at a time`);
      } finally {
        hasher.close();
      }
    }
    assert.ok(await threadsEnd());
  });

  test(`${name} that is closed while it hashes ends`, { skip }, async () => {
    const hasher = (await start()) as AsyncKeyHasher;
    const chunk = Buffer.alloc(4 * 1024 ** 2);
    for (let i = 0; i < 5; i++) await hasher.update(chunk);
    const last = hasher.update(chunk);
    const key = hasher.key();
    hasher.close();
    hasher.close();
    await last?.catch((error: Error) => assert.match(error.message, /closed/));
    await assert.rejects(key, /closed|ended early/);
    assert.ok(await threadsEnd());
  });
}

test("a worker that is ended while the runtime hashes for it takes nothing with it", {
  skip: openssl() === undefined ? "needs Linux, koffi, and a runtime that shows its OpenSSL" : false,
}, async () => {
  const program = `
    import { parentPort } from "node:worker_threads";
    import { hashBeside } from ${JSON.stringify(new URL("../../src/key/hash-beside.ts", import.meta.url))};
    const chunk = Buffer.alloc(16 * 1024 ** 2);
    const hasher = hashBeside(${LARGE});
    for (let i = 0; ; i++) {
      await hasher.update(chunk);
      if (i === 2) parentPort.postMessage("hashing");
    }`;
  for (let turn = 0; turn < 3; turn++) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
    await once(worker, "message");
    assert.equal(await worker.terminate(), 1);
  }
});
