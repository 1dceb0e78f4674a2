import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";

const NONE = "0".repeat(64);

for (const formatVersion of [1, 2] as const) {
  for (const packer of ["this instance", "another"] as const) {
    for (const isAskedFor of [false, true]) {
      const look = isAskedFor ? ", and something is looked up behind it" : "";
      test(`version ${formatVersion}: what ${packer} packs during a listing is listed${look}`, async () => {
        const path = join(temporaryFolder(), "container");
        await using container = await Container.create(path, { formatVersion, durability: "process" });
        const inserted = await Array.fromAsync(container.insertMany(smallContents(500, 1)), ({ key }) => key as string);
        await using elsewhere = await Container.open(path);
        const listed: string[] = [];
        for await (const key of container.keys()) {
          listed.push(key);
          if (listed.length !== 5) continue;
          await (packer === "another" ? elsewhere : container).pack();
          if (isAskedFor) await container.has(NONE);
        }
        assert.deepEqual(listed, inserted.sort());
      });
    }
  }
}
