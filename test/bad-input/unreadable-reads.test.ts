import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import { spoilt, unreadableKinds } from "../support/unreadable.ts";

for (const formatVersion of [1, 2] as const) {
  for (const [name, kind] of Object.entries(unreadableKinds)) {
    test(`version ${formatVersion}: reads take the packed copy where the loose one is ${name}`, async () => {
      const { combined, key, keys, close } = await spoilt(formatVersion, kind, "both");
      const object = await combined.extract(key);
      assert.equal(keyOf((await object?.bytes()) ?? new Uint8Array()), key);
      const streamed = await Array.fromAsync((await combined.extract(key)) ?? [], (piece) => Buffer.from(piece));
      assert.equal(keyOf(Buffer.concat(streamed)), key);
      const extracted: string[] = [];
      for await (const { object: one } of combined.extractMany(keys))
        extracted.push(keyOf((await one?.bytes()) ?? new Uint8Array()));
      assert.deepEqual(extracted.sort(), keys);
      const read: string[] = [];
      for await (const { bytes } of combined.readMany(keys)) read.push(keyOf(bytes ?? new Uint8Array()));
      assert.deepEqual(read.sort(), keys);
      // Who asks for the loose copy is told, but where something else stands in its place, or only the names in its folder are lost.
      if (!kind.isNoFile && name !== "a folder with a bad sector") {
        const asked = async (): Promise<unknown> => (await combined.extract(key, { from: "loose" }))?.bytes();
        await assert.rejects(asked(), (error) => isTsdosError(error, kind.code));
      }
      close();
    });
  }

  test(`version ${formatVersion}: of a folder that cannot be looked at, extractMany tells when it has given all others`, async () => {
    const kind = unreadableKinds["a folder of which nobody may reach the files"] ?? assert.fail();
    const { combined, key, keys, close } = await spoilt(formatVersion, kind);
    const extracted: string[] = [];
    const extract = async (): Promise<void> => {
      for await (const { object } of combined.extractMany(keys))
        extracted.push(keyOf((await object?.bytes()) ?? new Uint8Array()));
    };
    await assert.rejects(extract(), (error) => isTsdosError(error, kind.code));
    assert.deepEqual(
      extracted.sort(),
      keys.filter((one) => one !== key),
    );
    close();
  });

  for (const name of ["a file that nobody may open", "a file with a bad sector"]) {
    const kind = unreadableKinds[name] ?? assert.fail();
    test(`version ${formatVersion}: ${name} is told to who reads it, and others are read`, async () => {
      const { combined, key, keys, path, close } = await spoilt(formatVersion, kind);
      const extracted: string[] = [];
      for await (const { key: one, object } of combined.extractMany(keys)) {
        const bytes = async (): Promise<Uint8Array | undefined> => object?.bytes();
        if (one === key)
          await assert.rejects(bytes(), (error) => isTsdosError(error, kind.code) && error.details.path === path);
        else extracted.push(keyOf((await bytes()) ?? new Uint8Array()));
      }
      assert.deepEqual(
        extracted.sort(),
        keys.filter((one) => one !== key),
      );
      close();
    });
  }
}
