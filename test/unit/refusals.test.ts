import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../../src/container/config-file.ts";
import { Container } from "../../src/container/container.ts";
import { isTsdosError, TsdosError } from "../../src/errors.ts";
import type { PackEntry } from "../../src/format/entry.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { prose, smallContents } from "../../src/testing/contents.ts";
import { type Fault, type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";
import { writeFile } from "../support/port-files.ts";
import { batchOf, put } from "../support/records.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

const PACKED = `${MEMORY_ROOT}/packed`;

/** Every file of a folder with its content. */
function snapshot(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  return Object.fromEntries(
    names.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, entry.isFile() ? readFileSync(path, "latin1") : "folder"];
    }),
  );
}

test("I8: an unknown version or a malformed configuration is refused with a code, and nothing is touched", async () => {
  const wrong: [string, string, string][] = [
    ["container_version", "3", "UNSUPPORTED_VERSION"],
    ["container_version", "0", "INVALID_CONFIG"],
    ["container_version", "-1", "INVALID_CONFIG"],
    ["container_version", "1.5", "INVALID_CONFIG"],
    ["container_version", '"2"', "INVALID_CONFIG"],
    ["container_version", "null", "INVALID_CONFIG"],
    ["hash_type", '"sha1"', "INVALID_CONFIG"],
    ["hash_type", "5", "INVALID_CONFIG"],
    ["container_id", "7", "INVALID_CONFIG"],
    ["loose_prefix_len", "5", "INVALID_CONFIG"],
    ["loose_prefix_len", "-1", "INVALID_CONFIG"],
    ["loose_prefix_len", '"2"', "INVALID_CONFIG"],
    ["pack_size_target", "0", "INVALID_CONFIG"],
    ["pack_size_target", "1e300", "INVALID_CONFIG"],
    ["pack_size_target", "1.5", "INVALID_CONFIG"],
    ["compression_algorithm", '"lzma"', "INVALID_CONFIG"],
    ["compression_algorithm", "9", "INVALID_CONFIG"],
  ];
  const folder = join(temporaryFolder(), "c");
  await using container = await Container.create(folder);
  await container.insert(prose(10), { to: "packed" });
  await container.close();
  const path = join(folder, "config.json");
  const good = readFileSync(path, "utf8");
  const texts = wrong.map(([field, value, code]) => ({
    text: good.replace(new RegExp(`"${field}": [^,\n]*`), `"${field}": ${value}`),
    code,
  }));
  texts.push(
    ...["", "{", "[]", "null", "42", good.slice(0, -10), "\0".repeat(100), "x".repeat(2 ** 20 + 1)].map((text) => ({
      text,
      code: "INVALID_CONFIG",
    })),
  );
  for (const { text, code } of texts) {
    assert.notEqual(text, good);
    writeFileSync(path, text);
    const before = snapshot(folder);
    await assert.rejects(Container.open(folder), (error) => {
      assert.ok(isTsdosError(error), String(error));
      assert.deepEqual([error.code, error.details.path], [code, path], text);
      return true;
    });
    assert.deepEqual(snapshot(folder), before);
  }
});

test("a config.json that is a named pipe or a folder is refused, and not waited for", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "config.json");
  for (const make of [() => execFileSync("mkfifo", [path]), () => mkdirSync(path)]) {
    make();
    await assert.rejects(Container.open(folder), { code: "INVALID_CONFIG", details: { path } });
    rmSync(path, { recursive: true });
  }
});

test("I8: missing fields have defaults, unknown ones stay, and both spellings of a compression are taken", () => {
  const folder = temporaryFolder();
  const read = (fields: object): ReturnType<typeof readConfig> => {
    writeFileSync(join(folder, "config.json"), JSON.stringify(fields));
    return readConfig(new NodeFileSystem(), folder);
  };
  const { loosePrefixLen, packSizeTarget, hashType, compression } = read({ container_version: 1 });
  assert.deepEqual([loosePrefixLen, packSizeTarget, hashType, compression], [2, 4 * 1024 ** 3, "sha256", "zlib+1"]);
  assert.deepEqual(read({ container_version: 2, compression_algorithm: "zlib:+4" }).compressionSpec, {
    codec: "zlib",
    level: 4,
  });
  assert.deepEqual(read({ container_version: 2, made_by: { tool: "x" } }).unknownFields, { made_by: { tool: "x" } });
});

/** A container with one crafted entry, with a right checksum of its own. */
function crafted(changes: Partial<PackEntry>): { readonly key: ObjectKey; readonly stores: ReturnType<typeof openOn> } {
  const memory = emptyMemoryFolder();
  const bytes = Buffer.from("sixteen bytes ..");
  writeFile(memory, `${PACKED}/0.pack`, bytes);
  const stores = openOn(memory, {});
  const key = keyOf(bytes);
  stores.index.commit(
    0,
    batchOf([put(Buffer.from(key, "hex"), { rawSize: 16, storedSize: 16, flags: 2, ...changes })]),
    false,
  );
  return { key, stores };
}

async function readsWith(changes: Partial<PackEntry>): Promise<Set<string>> {
  const codes = new Set<string>();
  const { key, stores } = crafted(changes);
  const object = await stores.combined.extract(key);
  assert.ok(object !== undefined);
  const ways = [
    () => object.bytes(),
    () => Array.fromAsync(object),
    () => object.slice(1, 3).bytes(),
    () => object.slice(-3).bytes(),
    async () => {
      for await (const { object: again } of stores.combined.extractMany([key])) await again?.bytes();
    },
  ];
  for (const read of ways) {
    try {
      await read();
      codes.add("read");
    } catch (error) {
      if (!isTsdosError(error)) throw error;
      assert.deepEqual([error.details.key, error.details.path], [key, `${PACKED}/0.pack`]);
      codes.add(error.code);
    }
  }
  return codes;
}

test("I8: an unknown codec or dictionary is refused when it is read", async () => {
  assert.deepEqual(await readsWith({}), new Set(["read"]));
  for (const changes of [{ codec: 4 }, { codec: 255 }, { dictionaryId: 1 }])
    assert.deepEqual(await readsWith(changes), new Set(["UNSUPPORTED_CODEC"]));
});

test("I9: an I/O error is never taken for an absent object", async () => {
  const memory = emptyMemoryFolder();
  const contents = [...smallContents(12, 5)];
  const stores = openOn(memory, {});
  await Array.fromAsync(stores.combined.insertMany(contents.slice(0, 6), { to: "packed" }));
  await Array.fromAsync(stores.combined.insertMany(contents.slice(6)));
  const keys = contents.map(keyOf);
  let failed = 0;
  for (let at = 1, calls = at; calls >= at; at++) {
    calls = 0;
    const fault = ({ name, path }: FileCall): Fault | undefined =>
      name !== "close" && ++calls === at ? { error: new TsdosError("IO_ERROR", "on purpose", { path }) } : undefined;
    const { combined } = openOn(new InterceptedFileSystem(memory, fault), {});
    for (const read of [
      async () => {
        for (const key of keys) assert.equal(await combined.has(key), true);
      },
      async () => {
        for (const key of keys) assert.ok((await (await combined.extract(key))?.bytes()) !== undefined);
      },
      async () => assert.deepEqual(await Array.fromAsync(combined.keys()), [...keys].sort()),
      async () => {
        for await (const { object } of combined.extractMany(keys)) assert.ok(object !== undefined);
      },
    ]) {
      try {
        await read();
      } catch (error) {
        if (!isTsdosError(error, "IO_ERROR")) throw error;
        failed++;
      }
    }
  }
  assert.ok(failed > 50);
});

test("I10: a length from disk is bounded before it is believed", async () => {
  const huge = [2 ** 31, 2 ** 40, 2 ** 48 - 1];
  const wrong: Partial<PackEntry>[] = [
    ...huge.map((rawSize) => ({ rawSize })),
    ...huge.map((storedSize) => ({ storedSize })),
    ...huge.map((size) => ({ storedSize: size, rawSize: size })),
    ...huge.map((offset) => ({ offset })),
    ...[1, 2, 3].flatMap((codec) => [
      { codec },
      ...huge.map((rawSize) => ({ codec, rawSize })),
      ...huge.map((storedSize) => ({ codec, storedSize })),
    ]),
    { rawSize: 3 },
    { storedSize: 0 },
    { codec: 3, storedSize: 5 },
    { codec: 2, storedSize: 0, rawSize: 5 },
  ];
  for (const changes of wrong)
    assert.deepEqual(await readsWith(changes), new Set(["CORRUPT_OBJECT"]), JSON.stringify(changes));
});

test("what is not a container is said to be none", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "file"), "x");
  mkdirSync(join(folder, "empty"));
  for (const path of [
    join(folder, "missing"),
    join(folder, "empty"),
    join(folder, "file"),
    join(folder, "file/below"),
  ]) {
    await assert.rejects(
      Container.open(path),
      (error) => isTsdosError(error, "NOT_A_CONTAINER") && error.message.includes(path),
    );
  }
});
