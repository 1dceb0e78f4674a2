import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { backupsIn, restoreBackup } from "../../src/container/restore-backup.ts";
import { isTsdosError } from "../../src/errors.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { backup } from "../../src/maintenance/backup/backup.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { inspect } from "../../src/maintenance/inspect.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { planPack } from "../../src/maintenance/pack-plan.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { statusOf } from "../../src/maintenance/status.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { fakeSsh } from "../support/backup.ts";
import { flip, loosePathOf, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { isPassedOver, isTold, OBJECTS, openFailing, spoilt, unreadableKinds } from "../support/unreadable.ts";

for (const formatVersion of [1, 2] as const) {
  for (const [name, kind] of Object.entries(unreadableKinds)) {
    describe(`version ${formatVersion}, ${name}`, () => {
      const isFolder = kind.what === "folder";

      /** One such object stopped all of it: thousands of others stayed loose. */
      test("pack leaves it where it is, tells it, and packs all others", async () => {
        const one = await spoilt(formatVersion, kind);
        const { loose, packed } = one.combined;
        const report = await packLoose(one.combined, {});
        isPassedOver(report, one, kind);
        assert.deepEqual([report.packedObjects, report.cleanedObjects], [OBJECTS - 1, OBJECTS - 1]);
        for (const key of one.keys) assert.equal(packed.find(key) === undefined, key === one.key);
        assert.ok(kind.spoil !== undefined || existsSync(loose.pathOf(one.key)));
        isPassedOver(await packLoose(one.combined, { verifyHash: false }), one, kind);
        one.close();
      });

      test("a plan to pack tells folders that cannot be read, and counts all others", async () => {
        const one = await spoilt(formatVersion, kind);
        const plan = await planPack(one.combined, {});
        if (isFolder) isPassedOver(plan, one, kind);
        assert.ok(plan.packedObjects >= OBJECTS - 1);
        one.close();
      });

      test("clean removes the loose copies of all others", async () => {
        const one = await spoilt(formatVersion, kind, "both");
        const report = await clean(one.combined, {});
        // A copy that is only unreadable goes: the packed one was read and verified.
        const isRemoved = /open|sector/.test(name) && !isFolder;
        const others = one.keys.filter((key) => key !== one.key);
        for (const key of others) assert.ok(!existsSync(loosePathOf(one.root, key)));
        assert.equal(report.looseObjects, isRemoved ? OBJECTS : OBJECTS - 1);
        if (isFolder || kind.errno === "ELOOP") isPassedOver(report, one, kind);
        else assert.equal(report.unreadableCount, 0);
        one.close();
      });

      test("validate tells it, and verifies all others", async () => {
        const one = await spoilt(formatVersion, kind);
        const other = one.keys.at(-1) as ObjectKey;
        flip(loosePathOf(one.root, other), 0);
        const { problems, problemCount, objects } = await validate(one.combined, {});
        isTold(
          problems.filter(({ key }) => key !== other),
          one,
          kind,
        );
        assert.deepEqual([problemCount, problems.every(({ kind: one }) => one === "loose")], [2, true]);
        assert.ok(objects >= OBJECTS - 1);
        const quick = await validate(one.combined, { quick: true });
        assert.equal(quick.problemCount, isFolder ? 1 : 0);
        one.close();
      });

      test("repair leaves it as it is, tells it, and repairs all others", async () => {
        const one = await spoilt(formatVersion, kind);
        const other = one.keys.at(-1) as ObjectKey;
        flip(loosePathOf(one.root, other), 0);
        const { unrepaired, lostKeys, quarantined } = await repair(one.combined, {});
        isTold(unrepaired, one, kind);
        assert.deepEqual([lostKeys, quarantined], [[other], 1]);
        one.close();
      });

      for (const place of ["here", "through ssh"] as const) {
        test(`a backup ${place} has all others, and does not pass for complete`, async () => {
          const one = await spoilt(formatVersion, kind);
          const folder = join(temporaryFolder(), "backups");
          const remote = place === "here" ? {} : fakeSsh(temporaryFolder());
          const report = await backup(one.combined, place === "here" ? folder : `somewhere:${folder}`, remote);
          isTold(report.problems, one, kind);
          assert.deepEqual([report.objects, report.problemCount, report.unreadableCount], [OBJECTS - 1, 1, 1]);
          assert.equal((await statusOf(one.combined)).lastBackup?.problems, 1);
          const [listed] = await backupsIn(folder);
          assert.deepEqual([listed?.objects, listed?.problems], [OBJECTS - 1, 1]);
          const restored = join(temporaryFolder(), "restored");
          assert.equal((await restoreBackup(folder, restored)).objects, OBJECTS - 1);
          one.close();
        });
      }

      test("copies to another container and to an archive have all others", async () => {
        const one = await spoilt(formatVersion, kind);
        // Something else than a file in its place is no object.
        const isMissing = kind.isNoFile === true;
        const problemsOf = isMissing ? [] : [[kind.code, one.path]];
        const { root } = await newContainer({ formatVersion });
        const into = await openFailing(root, () => undefined);
        const imported = await importFrom(into.combined, one.combined, {});
        const exported = await writeArchive(one.combined, () => undefined, {});
        for (const [copied, report] of [
          [imported.importedObjects, imported],
          [exported.objects, exported],
        ] as const) {
          assert.deepEqual(
            report.problems.map(({ code, path }) => [code, path]),
            problemsOf,
          );
          assert.deepEqual([copied, report.missingObjects], [OBJECTS - 1, isMissing ? 1 : 0]);
        }
        into.close();
        one.close();
      });

      test("where it is in a pack, too, copies have it from there", async () => {
        const one = await spoilt(formatVersion, kind, "both");
        const { root } = await newContainer({ formatVersion });
        const into = await openFailing(root, () => undefined);
        assert.equal((await importFrom(into.combined, one.combined, {})).importedObjects, OBJECTS);
        assert.equal((await writeArchive(one.combined, () => undefined, {})).objects, OBJECTS);
        into.close();
        one.close();
      });

      test("listings have all others, and fail at their end where some are not known", async () => {
        const one = await spoilt(formatVersion, kind);
        const keys: string[] = [];
        const listed = async (from: AsyncIterable<string>): Promise<void> => {
          for await (const key of from) keys.push(key);
        };
        const failure = (error: unknown): boolean => isTsdosError(error, kind.code) && error.details.path === one.path;
        const hidden = isFolder && kind.fails?.({ name: "list", path: one.path }, one.path) !== false;
        if (hidden) await assert.rejects(listed(one.combined.keys()), failure);
        else await listed(one.combined.keys());
        const expected = one.keys.filter((key) => !hidden || key !== one.key);
        assert.deepEqual(keys, expected);
        const stats: string[] = [];
        const inspected = async (): Promise<void> => {
          for await (const { key } of inspect(one.combined, "loose", undefined)) stats.push(key);
        };
        await inspected().catch((error) => assert.ok(isTsdosError(error, kind.code)));
        assert.ok(stats.length >= OBJECTS - 1);
        const status = await statusOf(one.combined);
        if (isFolder) isPassedOver(status, one, kind);
        assert.ok(status.objects >= OBJECTS - 1);
        one.close();
      });
    });
  }
}
