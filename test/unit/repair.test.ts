import assert from "node:assert/strict";
import { test } from "node:test";
import { packLoose } from "../../src/maintenance/pack.ts";
import { prose } from "../../src/testing/contents.ts";
import { truncate } from "../support/port-files.ts";
import { damageCopies, emptyMemoryFolder, openOn } from "../support/stores.ts";

test("a damaged twin in one place does not keep an object from being repaired in the other", async () => {
  for (const to of ["loose", "packed", "auto"] as const) {
    for (const where of ["loose", "packed", "both"] as const) {
      const memory = emptyMemoryFolder();
      const { combined } = openOn(memory, {});
      const bytes = prose(2000, 6);
      const { key } = await combined.insert(bytes);
      if (where !== "loose") await packLoose(combined, { clean: where === "packed" });
      damageCopies(memory, openOn(memory, {}), key);
      await combined.insert(bytes, { to, checkExisting: true });
      for (const stores of [combined, openOn(memory, {}).combined]) {
        assert.equal(
          Buffer.compare((await (await stores.extract(key))?.bytes()) as Uint8Array, bytes),
          0,
          `${where}, to ${to}`,
        );
      }
      await packLoose(combined, {});
      assert.equal(Buffer.compare((await (await combined.extract(key))?.bytes()) as Uint8Array, bytes), 0);
    }
  }
});

test("a truncated loose copy does not pass for the object when it is inserted into packs", async () => {
  const memory = emptyMemoryFolder();
  const { combined } = openOn(memory, {});
  const bytes = prose(2000, 7);
  const { key } = await combined.insert(bytes);
  truncate(memory, combined.loose.pathOf(key), 100);
  assert.equal((await combined.insert(bytes, { to: "packed" })).inserted, true);
  assert.equal(Buffer.compare((await (await combined.extract(key))?.bytes()) as Uint8Array, bytes), 0);
});
