import assert from "node:assert/strict";
import { test } from "node:test";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { localBackups } from "../../src/maintenance/backup/local-target.ts";
import { sendContainer } from "../../src/maintenance/backup/send-container.ts";
import { LISTED_MAX } from "../../src/maintenance/findings.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { Progress } from "../../src/progress.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { temporaryFolder } from "../support/folders.ts";
import { flipByte, writeFile } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

const COUNT = LISTED_MAX + 100;

interface Told {
  readonly problems: readonly unknown[];
  readonly problemCount: number;
}

const operations: Record<string, (store: CombinedStore) => Promise<Told>> = {
  "an import": (store) => importFrom(openOn(emptyMemoryFolder(), { durability: "process" }).combined, store, {}),
  "an export": (store) => writeArchive(store, () => undefined, {}),
  "a backup": (store) => sendContainer(store, localBackups(store.packed.context.fs, temporaryFolder()), undefined, {}),
  validate: (store) => validate(store, { threads: 1 }),
  "a validation that was interrupted": async (store) => {
    const stop = new AbortController();
    // Of 48 tasks, three for each folder.
    let tasks = 0;
    const onProgress = ({ phase }: Progress): void => {
      if (phase === "validate" && ++tasks === 46) stop.abort(new Error("enough"));
    };
    await assert.rejects(validate(store, { threads: 1, signal: stop.signal, onProgress }), /enough/);
    const report = await validate(store, { threads: 1, resume: true });
    assert.ok(report.resumed !== undefined);
    return report;
  },
};

test("of damaged objects, however many there are, 10,000 are listed, and all are counted", async (t) => {
  const fs = emptyMemoryFolder();
  const { combined, close } = openOn(fs, { durability: "process", loosePrefixLen: 1 });
  const contents = Array.from({ length: COUNT }, (_, i) => Buffer.from(`content ${i}`));
  for await (const { key } of combined.insertMany(contents)) flipByte(fs, combined.loose.pathOf(key), 3);
  writeFile(fs, `${MEMORY_ROOT}/config.json`, Buffer.from("{}"));
  for (const [name, run] of Object.entries(operations)) {
    await t.test(name, async () => {
      const { problems, problemCount } = await run(combined);
      assert.deepEqual([problems.length, problemCount], [LISTED_MAX, COUNT]);
    });
  }
  close();
});
