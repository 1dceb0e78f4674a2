import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { readConfig } from "../../src/container/config-file.ts";
import { isTsdosError } from "../../src/errors.ts";
import { printSealedJson } from "../../src/format/sealed-json.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { Progress } from "../../src/progress.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { flip, loosePathOf, newContainer } from "../support/damage.ts";

test("an interrupted validation is resumed behind what it has done, and keeps what it has found", async () => {
  for (const formatVersion of [1, 2] as const) {
    const { root, container } = await newContainer({ formatVersion, packSizeTarget: 100_000 });
    const contents = [...smallContents(2300, 11)];
    const packed = contents.slice(0, 1500);
    await Array.fromAsync(container.insertMany(packed, { to: "packed" }));
    await Array.fromAsync(container.insertMany(contents.slice(1500)));
    const sorted = contents
      .slice(1500)
      .map((bytes) => ({ bytes, key: keyOf(bytes) }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    flip(loosePathOf(root, sorted[0]!.bytes), 0);
    const whole = await container.validate();
    assert.deepEqual([whole.objects, whole.problems.length], [2300, 1]);
    const file = join(root, "..", "checkpoint");
    for (const stopAt of [300, 900]) {
      const checkpoint = stopAt === 300 ? {} : { checkpoint: file };
      const stop = new AbortController();
      const onProgress = ({ phase, objects }: Progress): void => {
        if (phase === "validate" && objects >= stopAt) stop.abort(new Error("enough"));
      };
      await assert.rejects(container.validate({ signal: stop.signal, onProgress, ...checkpoint }), /enough/);
      assert.ok(
        existsSync(
          stopAt === 900 ? file : join(root, formatVersion === 1 ? "sandbox/tsdos.validate.json" : "validate.json"),
        ),
      );
      await assert.rejects(
        container.validate({ resume: true, quick: true, ...checkpoint }),
        (error) => isTsdosError(error, "ALREADY_EXISTS") && /full validation/.test(error.message),
      );
      assert.equal((await container.clean({ sandboxAgeMs: -1, dryRun: true })).sandboxFiles, 0);
      // Behind the place: read once more, it would be found.
      const mended = await container.validate({ resume: true, ...checkpoint });
      assert.deepEqual([mended.objects, mended.bytes, mended.problems], [whole.objects, whole.bytes, whole.problems]);
      assert.ok((mended.resumed?.objects ?? 0) >= stopAt);
      assert.equal(
        (await container.validate({ resume: true, ...checkpoint })).resumed,
        undefined,
        "nothing to resume is left",
      );
    }
    writeFileSync(file, '{"format":1,"containerId":"cut');
    assert.equal((await container.validate({ resume: true, checkpoint: file })).resumed, undefined);
    await container.close();
  }
});

// The end of a validation removed whatever file had been named, and an interruption wrote over it: config.json, for one.
test("a file that is no checkpoint is refused, and left as it is", async () => {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany([...smallContents(3, 14)]));
  const file = join(root, "config.json");
  const before = readFileSync(file);
  for (const resume of [false, true]) {
    await assert.rejects(
      container.validate({ checkpoint: file, resume }),
      (error) => isTsdosError(error, "ALREADY_EXISTS") && /no checkpoint/.test(error.message),
    );
    assert.deepEqual(readFileSync(file), before);
  }
  const empty = join(root, "..", "empty");
  writeFileSync(empty, "");
  assert.equal((await container.validate({ checkpoint: empty })).valid, true);
});

// Every checkpoint was written as FILE.tmp first, and what had that name was removed before.
test("a checkpoint is written beside what else is in its folder", async () => {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany([...smallContents(700, 15)]));
  const folder = join(root, "../beside");
  mkdirSync(folder);
  writeFileSync(join(folder, "checkpoint.tmp"), "mine");
  const stop = new AbortController();
  const onProgress = ({ phase, objects }: Progress): void => {
    if (phase === "validate" && objects > 0) stop.abort(new Error("enough"));
  };
  const checkpoint = join(folder, "checkpoint");
  await assert.rejects(container.validate({ signal: stop.signal, onProgress, checkpoint }), /enough/);
  assert.deepEqual(readdirSync(folder).sort(), ["checkpoint", "checkpoint.tmp"]);
  assert.ok((await container.validate({ resume: true, checkpoint })).resumed !== undefined);
  assert.deepEqual(readdirSync(folder), ["checkpoint.tmp"]);
  assert.equal(readFileSync(join(folder, "checkpoint.tmp"), "utf8"), "mine");
});

test("a resumed validation does not read what was read before", async () => {
  const { root, container } = await newContainer();
  const contents = [...smallContents(1000, 12)];
  await Array.fromAsync(container.insertMany(contents));
  const stop = new AbortController();
  const onProgress = ({ phase, objects }: Progress): void => {
    if (phase === "validate" && objects >= 500) stop.abort();
  };
  await assert.rejects(container.validate({ signal: stop.signal, onProgress }));
  const sorted = contents.map((bytes) => ({ bytes, key: keyOf(bytes) })).sort((a, b) => (a.key < b.key ? -1 : 1));
  flip(loosePathOf(root, sorted[0]!.bytes), 0);
  flip(loosePathOf(root, sorted.at(-1)!.bytes), 0);
  const { problems } = await container.validate({ resume: true });
  assert.deepEqual(
    problems.map(({ key }) => key),
    [sorted.at(-1)!.key],
  );
});

/** Leaves the first objects of pack 0 out, as a repack by disk-objectstore does with deleted ones: another file with its name. */
function repackedWithout(root: string, count: number): void {
  const database = new DatabaseSync(join(root, "packs.idx"));
  const rows = database.prepare('SELECT id, "offset", length FROM db_object ORDER BY "offset"').all();
  const [start] = rows.slice(count).map((row) => Number(row["offset"]));
  database.exec(`DELETE FROM db_object WHERE "offset" < ${start}`);
  database.exec(`UPDATE db_object SET "offset" = "offset" - ${start}`);
  database.close();
  const pack = join(root, "packs/0");
  writeFileSync(join(root, "packs/-1"), readFileSync(pack).subarray(start));
  renameSync(join(root, "packs/-1"), pack);
}

// What had not been read yet stood in front of the place where the search had been, and was passed over.
test("version 1: a resumed validation reads a pack anew that disk-objectstore has repacked", async () => {
  const { root, container } = await newContainer({ formatVersion: 1 });
  const contents = [...smallContents(3000, 16)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed", compress: "no" }));
  const stop = new AbortController();
  const onProgress = ({ phase, objects }: Progress): void => {
    if (phase === "validate" && objects >= 1000) stop.abort();
  };
  await assert.rejects(container.validate({ signal: stop.signal, onProgress }));
  const checkpoint = JSON.parse(
    readFileSync(join(root, "sandbox/tsdos.validate.json"), "utf8").split("\n")[0] as string,
  );
  assert.ok(checkpoint.mark.place.rowId > 0);
  repackedWithout(root, 1500);
  flip(join(root, "packs/0"), 0);
  const { problems, resumed } = await container.validate({ resume: true });
  assert.ok(resumed !== undefined);
  assert.deepEqual(
    problems.map(({ key }) => key),
    [keyOf(contents[1500] as Uint8Array)],
  );
});

// What a repair had put right since, or what was deleted, was told as damage of today.
test("a resumed validation does not tell problems that are gone", async () => {
  for (const formatVersion of [1, 2] as const) {
    const { root, container } = await newContainer({ formatVersion });
    const contents = [...smallContents(1600, 15)];
    await Array.fromAsync(container.insertMany(contents.slice(0, 500)));
    await Array.fromAsync(container.insertMany(contents.slice(500), { to: "packed", compress: "no" }));
    const keys = contents.map(keyOf);
    const [stays, mended, deleted] = [0, 1, 2].map((i) => loosePathOf(root, contents[i]!)) as [string, string, string];
    for (const path of [stays, mended, deleted]) flip(path, 0);
    const pack = join(root, formatVersion === 1 ? "packs/0" : "packed/0.pack");
    flip(pack, 3);
    const stop = new AbortController();
    const onProgress = ({ phase, objects }: Progress): void => {
      if (phase === "validate" && objects > 1500) stop.abort(new Error("enough"));
    };
    await assert.rejects(container.validate({ signal: stop.signal, onProgress }), /enough/);
    flip(mended, 0);
    await container.delete([keys[2] as string]);
    const stopped = AbortSignal.abort(new Error("stopped"));
    await assert.rejects(container.validate({ resume: true, signal: stopped }), /stopped/);
    const { problems, problemCount, resumed } = await container.validate({ resume: true });
    assert.ok(resumed !== undefined);
    assert.deepEqual([problems.map(({ key }) => key).sort(), problemCount], [[keys[0], keys[500]].sort(), 2]);
    flip(pack, 3);
    flip(stays, 0);
    assert.equal((await container.validate()).valid, true);
    await container.close();
  }
});

// Containers need have no id. A place in one of version 1 ended the validation of one of version 2 with a RangeError, and the other way round.
test("a checkpoint of the other format version is none", async () => {
  const places = { 1: { packId: 0, tocOffset: 64 }, 2: { packId: 0, offset: 3, id: 4 } };
  for (const formatVersion of [1, 2] as const) {
    const { root, container } = await newContainer({ formatVersion });
    await Array.fromAsync(container.insertMany([...smallContents(5, 16)], { to: "packed" }));
    const { containerId } = readConfig(new NodeFileSystem(), root);
    const mark = { place: places[formatVersion] };
    const found = { containerId, mode: "full", since: "2026-01-01T00:00:00.000Z", mark, objects: 0, bytes: 0 };
    const checkpoint = join(root, "..", "checkpoint");
    writeFileSync(checkpoint, printSealedJson({ format: 1, ...found, problems: [], problemCount: 0 }));
    const { objects, resumed } = await container.validate({ resume: true, checkpoint });
    assert.deepEqual([objects, resumed], [5, undefined]);
    await container.close();
  }
});
