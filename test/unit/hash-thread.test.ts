import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TsdosError } from "../../src/errors.ts";
import { createHasherFor, keyOf } from "../../src/key/hash.ts";
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

test("a thread that was closed takes nothing more, and does not let anybody wait", async () => {
  const hasher = await createHasherFor(LARGE);
  hasher.update(Buffer.from("abc"));
  hasher.close();
  const start = performance.now();
  assert.throws(() => hasher.update(Buffer.from("def")), /closed/);
  assert.ok(performance.now() - start < WAIT_MS);
  assert.ok(await threadsEnd());
});

test("a thread finds the same key", async () => {
  const bytes = Buffer.alloc(3_000_000, "some content ");
  const hasher = await createHasherFor(LARGE);
  try {
    for (let at = 0; at < bytes.length; at += 700_000) hasher.update(bytes.subarray(at, at + 700_000));
    assert.equal(await hasher.key(), keyOf(bytes));
  } finally {
    hasher.close();
  }
  assert.ok(await threadsEnd());
});
