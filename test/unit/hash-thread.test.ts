import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Worker } from "node:worker_threads";
import { TsdosError } from "../../src/errors.ts";
import { type AsyncKeyHasher, keyOf } from "../../src/key/hash.ts";
import { hashBeside } from "../../src/key/hash-beside.ts";
import { startHashThread } from "../../src/key/hash-thread.ts";
import { openssl } from "../../src/openssl.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";
import { threadsEnd } from "../support/threads.ts";

/** Bytes; so much is hashed in a thread of its own. */
const LARGE = 128 * 1024 ** 2;
const WAIT_MS = 10_000;

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

// An insert waited for ever for a thread that others had ended before it began, and a minute for one that they ended later.
test("a thread that others end lets nobody wait", async (t) => {
  const terminate = (worker: Worker): void => void worker.terminate();
  process.once("worker", terminate);
  assert.equal(await startHashThread(), undefined);
  let worker: Worker | undefined;
  process.once("worker", (started) => {
    worker = started;
  });
  const hasher = (await startHashThread()) as AsyncKeyHasher;
  t.after(() => hasher.close());
  await worker?.terminate();
  assert.throws(() => hasher.update(Buffer.alloc(1024 ** 2)), { code: "IO_ERROR", message: /ended/ });
  await assert.rejects(hasher.key(), { code: "IO_ERROR", message: /ended/ });
  assert.ok(await threadsEnd());
});

// A thread that was terminated while it loaded functions in C ended the process.
test("a thread that is terminated while it inserts something large takes nothing with it", async () => {
  const { root, container } = await newContainer();
  await container.close();
  const file = join(temporaryFolder(), "large");
  writeFileSync(file, Buffer.alloc(33 * 1024 ** 2));
  const work = `
    import { parentPort } from "node:worker_threads";
    import { Container, fromFile } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url))};
    const container = await Container.open(${JSON.stringify(root)}, { durability: "process" });
    parentPort.postMessage("open");
    for (;;) await container.insert(fromFile(${JSON.stringify(file)}));`;
  const program = `
    import { once } from "node:events";
    import { setTimeout as sleep } from "node:timers/promises";
    import { Worker } from "node:worker_threads";
    const url = new URL("data:text/javascript," + encodeURIComponent(${JSON.stringify(work)}));
    for (let turn = 0; turn < 12; turn++) {
      const worker = new Worker(url);
      await once(worker, "message");
      await sleep(turn);
      await worker.terminate();
    }
    console.log("done");`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  assert.deepEqual([child.signal, child.stdout], [null, "done\n"], child.stderr);
});
