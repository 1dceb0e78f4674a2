import assert from "node:assert/strict";
import { copyFileSync, cpSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import type { OpenStores } from "../../src/container/open-stores.ts";
import { TsdosError } from "../../src/errors.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { noise, smallContents } from "../../src/testing/contents.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";
import { openFailing, openUnreadable, type UnreadableKind, unreadableKinds } from "../support/unreadable.ts";

const CONTENT: Buffer = Buffer.from(noise(3000, 1));

/** A container whose only loose object has a bad sector, until another file takes its place. */
async function withBadSector(
  formatVersion: 1 | 2,
): Promise<{ readonly stores: OpenStores; readonly key: ObjectKey; readonly path: string; readonly root: string }> {
  const { root, container } = await newContainer({ formatVersion });
  const { key } = await container.insert(CONTENT);
  await container.close();
  const path = loosePathOf(root, key);
  const { ino } = statSync(path);
  const stores = await openFailing(root, ({ name, path: file }) =>
    /^read/.test(name) && file === path && statSync(path).ino === ino
      ? new TsdosError("IO_ERROR", "on purpose", { path, errno: "EIO" })
      : undefined,
  );
  return { stores, key: key as ObjectKey, path, root };
}

for (const formatVersion of [1, 2] as const) {
  /** Its bytes could not be copied to quarantine, and repair ended there. */
  test(`version ${formatVersion}: repair replaces what cannot be read by a good copy of another container, and keeps its file`, async () => {
    const { stores, key, path, root } = await withBadSector(formatVersion);
    const { ino } = statSync(path);
    const other = (await newContainer()).container;
    await using _ = other;
    await other.insert(CONTENT);
    const dry = await repair(stores.combined, { from: [other], dryRun: true });
    assert.deepEqual([dry.adopted, dry.unrepairedCount, statSync(path).ino], [1, 0, ino]);
    const report = await repair(stores.combined, { from: [other] });
    assert.deepEqual([report.adopted, report.lost, report.unrepairedCount, report.quarantined], [1, 0, 0, 1]);
    assert.equal(statSync(join(report.quarantine, `${key}.loose`)).ino, ino);
    stores.close();
    await using container = await Container.open(root);
    assert.deepEqual((await container.validate()).problems, []);
    assert.ok(CONTENT.equals((await (await container.extract(key))?.bytes()) ?? new Uint8Array()));
  });

  test(`version ${formatVersion}: content that is inserted again with checkExisting takes the place of what cannot be read`, async () => {
    for (const to of ["loose", "packed"] as const) {
      const { stores, key, root } = await withBadSector(formatVersion);
      const inserted = await stores.combined.insert(CONTENT, { to, checkExisting: true });
      assert.deepEqual([inserted.key, inserted.inserted], [key, true]);
      assert.ok((await validate(stores.combined, {})).valid);
      stores.close();
      await using container = await Container.open(root);
      assert.equal((await container.stat(key))?.where, to);
      assert.ok(CONTENT.equals((await (await container.extract(key))?.bytes()) ?? new Uint8Array()));
    }
  });
}

test("the packs of an interrupted repack stay while repair cannot read something: they may have it", async () => {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany([...smallContents(20, 2), CONTENT], { to: "packed" }));
  const { key } = await container.insert(noise(100, 3));
  const [first] = await Array.fromAsync(container.inspect("packed"), ({ key }) => key);
  await container.delete([first as ObjectKey]);
  const before = join(root, "../before");
  cpSync(root, before, { recursive: true });
  assert.equal((await container.repack({ deadRatio: 0 })).newPacks, 1);
  await container.close();
  for (const name of ["0.pack", "0.toc"]) copyFileSync(join(before, "packed", name), join(root, "packed", name));
  const kind = unreadableKinds["a folder that nobody may list"] as UnreadableKind;
  const unlisted = await openUnreadable(root, key as ObjectKey, kind);
  assert.equal((await repair(unlisted.combined, {})).unrepairedCount, 1);
  assert.ok(existsSync(join(root, "packed/0.pack")));
  unlisted.close();
  const well = await openFailing(root, () => undefined);
  assert.equal((await repair(well.combined, {})).unrepairedCount, 0);
  assert.ok(!existsSync(join(root, "packed/0.pack")));
  well.close();
});
