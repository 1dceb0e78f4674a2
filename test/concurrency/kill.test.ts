import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import { numbers, prose } from "../../src/testing/contents.ts";
import { Child } from "../support/child-processes.ts";
import { temporaryFolder } from "../support/folders.ts";
import { seeded } from "../support/seeded.ts";

const KILLS = 20;

seeded(
  "kill -9 at any moment: everything that was acknowledged is readable, and the next writer just works",
  async (seed) => {
    const next = numbers(seed);
    const root = join(temporaryFolder(), "container");
    await (await Container.create(root, { packSizeTarget: 3_000_000 })).close();
    const present = new Set<string>();
    for (let kill = 0; kill < KILLS; kill++) {
      const child = new Child("write", root, String((next() % 1_000_000) + kill));
      await child.said(2);
      await sleep(next() % 120);
      await child.kill();
      for (const line of child.lines) {
        if (line.startsWith("+")) present.add(line.slice(1));
        else if (line.startsWith("-")) present.delete(line.slice(1));
        else assert.equal(line, "ready");
      }
      await using container = await Container.open(root, { lockTimeoutMs: 0 });
      for await (const { key, object } of container.extractMany(present)) {
        assert.ok(object !== undefined, `kill ${kill}: ${key} was acknowledged and is lost`);
        assert.equal(keyOf(await object.bytes()), key, `kill ${kill}`);
      }
      const { problems } = await container.validate();
      assert.deepEqual(problems, [], `kill ${kill}`);
      const mine = prose(500 + kill, kill);
      for (const to of ["loose", "packed"] as const)
        await container.insert(Buffer.concat([mine, Buffer.from(to)]), { to });
      if (kill % 4 === 3) {
        await container.pack();
        await container.clean({ sandboxAgeMs: 0 });
        const { loose } = await container.status();
        assert.equal(loose.objects, 0);
      }
    }
    assert.ok(present.size > 100);
  },
);
