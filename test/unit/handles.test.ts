// What is open is closed also when something fails.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs, { statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Container } from "../../src/container/container.ts";
import { createContainer } from "../../src/container/create-container.ts";
import { TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { OsLock } from "../../src/fs/os-lock.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { flip, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { openFiles, skipWithoutOpenFiles } from "../support/open-files.ts";

const skip = skipWithoutOpenFiles;

/** The files below a folder that this process has open. */
const openBelow = (folder: string): string[] => openFiles("self").filter((path) => path.startsWith(folder));

const broken = (): { readonly error: Error } => ({ error: new TsdosError("IO_ERROR", "the disk does not answer") });

for (const formatVersion of [1, 2] as const) {
  test(`a container that cannot be completed leaves nothing open (version ${formatVersion})`, { skip }, () => {
    const root = join(temporaryFolder(), "container");
    const files = new InterceptedFileSystem(new NodeFileSystem(), ({ name, to }: FileCall) =>
      name === "link" && to?.endsWith("config.json") ? broken() : undefined,
    );
    assert.throws(() => createContainer(files, root, { formatVersion }), { code: "IO_ERROR" });
    assert.deepEqual(openBelow(root), []);
  });

  test(`closing goes on when a part of it fails (version ${formatVersion})`, { skip }, async () => {
    const root = join(temporaryFolder(), "container");
    let isBroken = false;
    const files = new InterceptedFileSystem(new NodeFileSystem(), ({ name }: FileCall) =>
      isBroken && name === "truncate" ? broken() : undefined,
    );
    const { stores } = createContainer(files, root, { formatVersion, durability: "process" });
    const { packed } = stores.combined;
    const writer = await packed.openWriter("test", false, {});
    const bytes = new Uint8Array(200_000);
    writer.add(keyOf(bytes), bytes, bytes.length, 0);
    assert.notDeepEqual(openBelow(root), []);
    isBroken = true;
    assert.throws(() => stores.close(), { code: "IO_ERROR" });
    assert.deepEqual(openBelow(root), []);
  });
}

test("a lock file that cannot be prepared is closed", { skip }, (t: TestContext) => {
  const folder = temporaryFolder();
  const lock = new OsLock(join(folder, "lock"), join(folder, "lock.holder"));
  const stat = t.mock.method(fs, "statSync", () => {
    throw Object.assign(new Error("EIO: i/o error, stat"), { code: "EIO" });
  });
  assert.throws(() => lock.tryAcquire("test"), { code: "IO_ERROR" });
  assert.deepEqual(openBelow(folder), []);
  stat.mock.restore();
  assert.equal(lock.tryAcquire("test"), true);
  lock.close();
});

test("a container opens, and reads, when neither its lock nor its index can be used", async () => {
  const { root, container } = await newContainer();
  const bytes = Buffer.from("content");
  const { key } = await container.insert(bytes, { to: "packed" });
  await container.rebuildIndex();
  await container.close();
  flip(join(root, "packed/index/MANIFEST"), 10);
  truncateSync(join(root, "packed/lock"), 0);
  writeFileSync(join(root, "packed/lock"), Buffer.alloc(4096, "no database "));
  await using opened = await Container.open(root);
  assert.equal(await (await opened.extract(key))?.text(), "content");
  await assert.rejects(opened.insert(Buffer.from("more"), { to: "packed" }), { code: "CORRUPT_INDEX" });
});

// A web stream reads its first piece when it is made, unless it is told not to: the file stayed open where nobody read it.
test("a stream that nobody reads opens nothing; one that is cancelled closes its file", { skip }, async () => {
  const { root, container } = await newContainer();
  for (const to of ["loose", "packed"] as const) {
    const { key } = await container.insert(noise(5 * 1024 ** 2, to.length), { to });
    const object = await container.extract(key);
    const openNow = (): string[] => openBelow(root).filter((path) => /loose[/]|[.]pack$/.test(path));
    const before = openNow();
    const reader = object?.stream().getReader();
    await setImmediate();
    assert.deepEqual(openNow(), before);
    await reader?.read();
    await reader?.cancel();
    assert.deepEqual(
      openNow().filter((path) => path.includes("/loose/")),
      [],
    );
  }
  await container.close();
  assert.deepEqual(openBelow(root), []);
});

// It removed the device, or the name of a pipe, that it could not write to.
test("a file that cannot be completed is removed, and a device is not", async (t) => {
  const { container } = await newContainer();
  const object = await container.extract((await container.insert(Buffer.from("content"))).key);
  const full = join(temporaryFolder(), "full");
  if (spawnSync("mknod", [full, "c", "1", "7"]).status !== 0) return t.skip("only root can make a device");
  await assert.rejects(async () => object?.toFile(full), { code: "NO_SPACE" });
  assert.ok(statSync(full).isCharacterDevice());
});
