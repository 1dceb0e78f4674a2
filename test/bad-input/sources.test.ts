import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError, type TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { fromFile, type Source } from "../../src/store/source.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";
import { flipByte } from "../support/port-files.ts";

const NOBODY = 65_534;
const MIB = 1024 ** 2;

async function sourceFails(container: Container, source: Source): Promise<TsdosError> {
  for (const to of ["loose", "packed", "auto"] as const) {
    try {
      await container.insert(source, { to });
    } catch (error) {
      assert.ok(isTsdosError(error, "SOURCE_FAILED"), String(error));
      const told: TsdosError[] = [];
      const sources = [prose(50, 1), source, prose(60, 2)];
      const results = await Array.fromAsync(
        container.insertMany(sources, { to, onSourceError: (one) => told.push(one) }),
      );
      assert.deepEqual(
        results.map(({ index }) => index),
        [0, 2],
      );
      assert.deepEqual(
        told.map(({ code, message }) => [code, message]),
        [[error.code, error.message]],
      );
      if (to === "auto") return error;
      continue;
    }
    assert.fail("it should have failed");
  }
  return assert.fail();
}

test("files that cannot be read are SOURCE_FAILED with their name, whatever they are", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "c"));
  const path = (name: string): string => join(folder, name);
  mkdirSync(path("folder"));
  symlinkSync(path("nowhere"), path("dangling"));
  symlinkSync(path("loop"), path("loop"));
  writeFileSync(path("file"), "x");
  const cases: Record<string, string | undefined> = {
    missing: "ENOENT",
    dangling: "ENOENT",
    loop: "ELOOP",
    "file/below": "ENOTDIR",
    folder: undefined,
  };
  if (spawnSync("mkfifo", [path("pipe")]).status === 0) cases["pipe"] = undefined;
  for (const [name, errno] of Object.entries(cases)) {
    const error = await sourceFails(container, fromFile(path(name)));
    assert.equal(error.details.path, path(name));
    assert.ok(error.message.includes(path(name)));
    if (errno !== undefined)
      assert.ok([errno, "ENOENT"].includes(error.details.errno ?? ""), `${name}: ${error.details.errno}`);
  }
  if (existsSync("/dev/null"))
    assert.match((await sourceFails(container, fromFile("/dev/null"))).message, /not a regular file/);
  assert.match((await sourceFails(container, fromFile(path("folder")))).message, /folder/);
  assert.deepEqual(readdirSync(join(folder, "c/sandbox")), []);
  assert.deepEqual((await Array.fromAsync(container.keys())).length, 2);
});

// It came out as it was, so that a damaged object of another container ended the whole call, and looked like damage in this one.
test("a source that fails with an error of tsdos is SOURCE_FAILED, and the others go on", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "c"));
  await using other = await Container.create(join(folder, "other"));
  for (const size of [1000, 5 * MIB]) {
    const { key } = await other.insert(noise(size, size), { to: "packed" });
    const pack = join(folder, "other/packed/0.pack");
    flipByte(new NodeFileSystem(), pack, statSync(pack).size - 1);
    const source = await other.extract(key);
    const error = await sourceFails(container, source as AsyncIterable<Uint8Array>);
    assert.ok(isTsdosError(error.cause, "CORRUPT_OBJECT"), String(error.cause));
    assert.deepEqual([error.details.key, error.details.path], [key, pack]);
  }
});

test("a file without permission is SOURCE_FAILED with EACCES", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
  const folder = temporaryFolder();
  chmodSync(folder, 0o777);
  const path = join(folder, "secret");
  writeFileSync(path, "secret", { mode: 0o600 });
  process.seteuid?.(NOBODY);
  try {
    await using container = await Container.create(join(folder, "c"));
    const error = await sourceFails(container, fromFile(path));
    assert.deepEqual([error.details.path, error.details.errno], [path, "EACCES"]);
  } finally {
    process.seteuid?.(0);
  }
});

test("a container without permission to write is read, and refuses writes; without permission to read it says so", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root can become somebody else");
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  const root = join(folder, "c");
  const owner = await Container.create(root);
  const { key } = await owner.insert(prose(100), { to: "packed" });
  await owner.insert(prose(101));
  await owner.close();
  process.seteuid?.(NOBODY);
  try {
    await using container = await Container.open(root);
    assert.equal(Buffer.compare((await (await container.extract(key))?.bytes()) as Uint8Array, prose(100)), 0);
    assert.equal((await Array.fromAsync(container.keys())).length, 2);
    for (const to of ["loose", "packed", "auto"] as const) {
      await assert.rejects(container.insert(prose(5), { to }), (error) => isTsdosError(error, "ACCESS_DENIED"));
    }
    process.seteuid?.(0);
    chmodSync(join(root, "loose"), 0o700);
    process.seteuid?.(NOBODY);
    const reads = [
      () => container.has(keyOf(prose(101))),
      () => container.extract(keyOf(prose(101))),
      () => container.stat(keyOf(prose(101))),
      () => Array.fromAsync(container.keys()),
    ];
    for (const read of reads)
      await assert.rejects(read(), (error) => isTsdosError(error, "ACCESS_DENIED"), "not: absent");
    process.seteuid?.(0);
    for (const name of ["packed/0.pack", "packed/0.toc"]) chmodSync(join(root, name), 0o600);
    process.seteuid?.(NOBODY);
    await using blind = await Container.open(root).catch((error) => {
      assert.ok(isTsdosError(error, "ACCESS_DENIED"));
      return undefined;
    });
    if (blind !== undefined) await assert.rejects(blind.has(key), (error) => isTsdosError(error, "ACCESS_DENIED"));
  } finally {
    process.seteuid?.(0);
  }
});

test("a file that vanishes before its turn comes fails alone", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "c"));
  const names = Array.from({ length: 10 }, (_, i) => join(folder, `file-${i}`));
  for (const [i, name] of names.entries()) writeFileSync(name, prose(100, i));
  const sources = function* (): Generator<Source> {
    for (const [i, name] of names.entries()) {
      if (i % 3 === 0) unlinkSync(name);
      yield fromFile(name);
    }
  };
  const failed: number[] = [];
  const results = await Array.fromAsync(
    container.insertMany(sources(), { onSourceError: (_, index) => failed.push(index) }),
  );
  assert.deepEqual(failed, [0, 3, 6, 9]);
  assert.deepEqual(
    results.map(({ key }) => key),
    [1, 2, 4, 5, 7, 8].map((i) => keyOf(prose(100, i))),
  );
});

test("a file that grows while it is read gives the bytes that were read, under their key; one that is cut fails", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "c"));
  const path = join(folder, "changing");
  for (const to of ["loose", "packed"] as const) {
    for (const sizeThen of [6 * MIB, 12 * MIB]) {
      writeFileSync(path, noise(9 * MIB, 5));
      // The first pieces are read before the change.
      const timer = setTimeout(() => truncateSync(path, sizeThen), 0);
      try {
        const { key, rawSize } = await container.insert(fromFile(path), { to });
        const bytes = (await (await container.extract(key))?.bytes()) as Uint8Array;
        assert.deepEqual([bytes.length, keyOf(bytes)], [rawSize, key]);
        await container.delete([key]);
        assert.ok(rawSize >= 9 * MIB, `${rawSize}`);
      } catch (error) {
        assert.ok(isTsdosError(error, "SOURCE_FAILED") && sizeThen < 9 * MIB, String(error));
      } finally {
        clearTimeout(timer);
      }
      assert.deepEqual(await Array.fromAsync(container.keys()), []);
    }
  }
});

test("a handle to an object that was deleted says NOT_FOUND, or still reads it", async () => {
  const folder = temporaryFolder();
  await using container = await Container.create(join(folder, "c"));
  for (const to of ["loose", "packed"] as const) {
    for (const bytes of [prose(20_000, 3), noise(5 * MIB, 3)]) {
      const { key } = await container.insert(bytes, { to });
      const object = await container.extract(key);
      await container.delete([key]);
      const read = await object?.bytes().catch((error: unknown) => error);
      if (read instanceof Uint8Array) assert.equal(Buffer.compare(read, bytes), 0);
      else assert.ok(isTsdosError(read, "NOT_FOUND") && read.details.key === key, String(read));
    }
  }
});

test("a closed container says CLOSED, and frees its lock even from an insert that goes on", async () => {
  const root = join(temporaryFolder(), "c");
  const container = await Container.create(root);
  const first = await container.insert(prose(10), { to: "packed" });
  let resume = (): void => undefined;
  const paused = new Promise<void>((resolve) => {
    resume = resolve;
  });
  const sources = async function* (): AsyncGenerator<Source> {
    yield prose(20);
    await paused;
    yield prose(30);
    yield noise(5 * MIB);
  };
  const results = container.insertMany(sources(), { to: "packed" });
  assert.equal((await results.next()).value?.key, keyOf(prose(20)));
  await container.close();
  await container.close();
  await using other = await Container.open(root, { lockTimeoutMs: 0 });
  await other.insert(prose(40), { to: "packed" });
  resume();
  await assert.rejects(Array.fromAsync(results), (error) => isTsdosError(error, "CLOSED"));
  const calls: (() => Promise<unknown>)[] = [
    () => container.has(first.key),
    () => container.insert(prose(5)),
    () => container.extract(first.key),
    () => container.delete([first.key]),
    () => container.status(),
    () => container.pack(),
    () => Array.fromAsync(container.keys()),
    () => Array.fromAsync(container.insertMany([prose(5)])),
  ];
  for (const call of calls)
    await assert.rejects(
      async () => call(),
      (error) => isTsdosError(error, "CLOSED"),
    );
  const kept = [prose(10), prose(20), prose(40)].map(keyOf).sort();
  await using again = await Container.open(root);
  assert.deepEqual(await Array.fromAsync(again.keys()), kept);
  assert.equal((await again.validate()).valid, true);
});

test("a container is not made where something is", async () => {
  const folder = temporaryFolder();
  const root = join(folder, "c");
  await using container = await Container.create(root);
  writeFileSync(join(folder, "file"), "x");
  mkdirSync(join(folder, "full"));
  writeFileSync(join(folder, "full/note"), "x");
  for (const path of [root, join(folder, "file"), join(folder, "full")]) {
    await assert.rejects(
      Container.create(path),
      (error) => isTsdosError(error, "ALREADY_EXISTS") && error.message.includes(path),
    );
  }
  await container.insert(prose(1));
  const wrong = [
    { compression: "lzma" },
    { compression: "zstd:99" },
    { packSizeTarget: 0 },
    { packSizeTarget: 1.5 },
    { loosePrefixLen: 5 },
    { loosePrefixLen: -1 },
  ];
  for (const options of wrong) {
    await assert.rejects(Container.create(join(folder, "new"), options), (error) =>
      isTsdosError(error, "INVALID_CONFIG"),
    );
    assert.equal(existsSync(join(folder, "new")), false, JSON.stringify(options));
  }
  await assert.rejects(Container.create(join(folder, "new"), { formatVersion: 3 as 2 }), (error) =>
    isTsdosError(error, "UNSUPPORTED_VERSION"),
  );
  for (const name of ["loose", "packed", "sandbox"]) mkdirSync(join(folder, "begun", name), { recursive: true });
  await using begun = await Container.create(join(folder, "begun"));
  await begun.insert(prose(1));
});
