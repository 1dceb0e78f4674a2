import assert from "node:assert/strict";
import { Readable } from "node:stream";
import type { InsertResult, Source } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { CONTENTS, type Command, contentOf, type SourceKind } from "./commands.ts";
import type { Instance, Subject } from "./subject.ts";

/** Commands between two looks at everything. */
const LOOK_EVERY = 25;
const contents: readonly Uint8Array[] = Array.from({ length: CONTENTS }, (_, number) => contentOf(number));
const keys: readonly ObjectKey[] = contents.map(keyOf);

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(500);
  throw new Error("the source fails");
}

/** A container, and the Map that it must be like. */
class Model {
  readonly #present = new Map<ObjectKey, number>();
  readonly #subject: Subject;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  #instance(at: number): Instance {
    return this.#subject.instances[at] as Instance;
  }

  #sourceOf(number: number, kind: SourceKind): Source {
    const bytes = contents[number] as Uint8Array;
    switch (kind) {
      case "bytes":
        return bytes;
      case "blob":
        return new Blob([bytes as Uint8Array<ArrayBuffer>]);
      case "pieces":
        return pieces(bytes);
      case "web stream":
        return ReadableStream.from(pieces(bytes));
      case "node stream":
        return Readable.from(pieces(bytes));
      case "file":
        return this.#subject.fileOf(bytes);
      default:
        return kind satisfies never;
    }
  }

  async run(command: Command): Promise<void> {
    switch (command.op) {
      case "insert":
        return this.#insert(command);
      case "insert and crash":
        return this.#insertAndCrash(command);
      case "read":
        return this.#read(command);
      case "read many":
        return this.#readMany(command.at, command.contents);
      case "delete":
        return this.#delete(command);
      case "pack":
        return this.#pack(command);
      case "clean": {
        const { at, dryRun } = command;
        await this.#instance(at).clean({ dryRun, sandboxAgeMs: 0 });
        if (!dryRun) assert.equal((await this.#instance(at).status()).loose.packedAlready.objects, 0);
        return;
      }
      case "repack":
        return this.#repack(command);
      case "move out and in":
        return this.#moveOutAndIn(command);
      case "import":
        return this.#import(command);
      case "list":
        return this.#list(command.at);
      case "status":
        return this.#status(command.at);
      case "validate": {
        const { problems } = await this.#instance(command.at).validate();
        return assert.deepEqual(problems, []);
      }
      case "rebuild":
        if (this.#subject.formatVersion === 2) await this.#instance(command.at).rebuildIndex();
        return;
      case "reopen":
        return this.#subject.reopen(command.at);
      case "lose the index":
        if (this.#subject.formatVersion === 2) this.#subject.loseIndex();
        return;
      case "crash":
        return this.#subject.crash();
      case "power cut":
        return this.#subject.powerCut?.(command.luck, command.seed);
      default:
        return command satisfies never;
    }
  }

  async #insert({ at, contents: numbers, kinds, ...options }: Command & { op: "insert" }): Promise<void> {
    const sources = numbers.map((number, i) => this.#sourceOf(number, kinds[i] ?? "bytes"));
    const failsAt = options.failing ? sources.length - 1 : -1;
    if (options.failing) sources.splice(failsAt, 0, failing());
    const expected = numbers.map((number, i) => {
      const isNew = !this.#present.has(keys[number] as ObjectKey) && numbers.indexOf(number) === i;
      return [keys[number], options.failing && i >= failsAt ? i + 1 : i, isNew];
    });
    const failed: number[] = [];
    const { to, compress, checkExisting } = options;
    const inserted = this.#instance(at).store.insertMany(sources, {
      to,
      compress,
      checkExisting,
      onSourceError: (_error, index) => failed.push(index),
    });
    const results = await Array.fromAsync(inserted);
    assert.deepEqual(
      results.map(({ key, index, inserted: isNew }) => [key, index, isNew]),
      expected,
    );
    assert.deepEqual(failed, options.failing ? [failsAt] : []);
    for (const result of results) this.#acknowledged(result, to);
  }

  #acknowledged({ key, rawSize, inserted, where }: InsertResult, to: string): void {
    const number = keys.indexOf(key);
    assert.equal(rawSize, contents[number]?.length);
    if (inserted && to !== "auto") assert.equal(where, to);
    this.#present.set(key, number);
  }

  /** What was acknowledged is there; the others may be, whole. */
  async #insertAndCrash({ at, contents: numbers, to, taken }: Command & { op: "insert and crash" }): Promise<void> {
    const results = this.#instance(at).store.insertMany(
      numbers.map((number) => contents[number] as Uint8Array),
      { to },
    );
    for (let i = 0; i < taken; i++) {
      const { value, done } = await results.next();
      if (done) break;
      this.#acknowledged(value, to);
    }
    // On a disk the process lives on, and with it the lock.
    if (this.#subject.powerCut === undefined) await results.return?.();
    await this.#subject.crash();
    for (const number of numbers) {
      const object = await this.#instance(0).store.extract(keys[number] as ObjectKey);
      if (object === undefined) continue;
      assert.equal(keyOf(await object.bytes()), keys[number]);
      this.#present.set(keys[number] as ObjectKey, number);
    }
  }

  async #read({ at, content, start, end }: Command & { op: "read" }): Promise<void> {
    await this.#lookAgain(at);
    const key = keys[content] as ObjectKey;
    const { store } = this.#instance(at);
    const object = await store.extract(key);
    assert.equal(object !== undefined, this.#present.has(key), "extract");
    if (object === undefined) return;
    const bytes = contents[content] as Uint8Array;
    assert.equal(object.rawSize, bytes.length);
    assert.equal(keyOf(await object.bytes()), key);
    const slice = await object.slice(start, end).bytes();
    assert.ok(Buffer.from(bytes.slice(start, end)).equals(slice), `bytes from ${start} to ${end}`);
    const stat = await store.stat(key);
    assert.equal(stat?.rawSize, bytes.length);
    const whole = await object.slice().bytes();
    assert.equal(keyOf(whole), key);
  }

  async #readMany(at: number, numbers: readonly number[]): Promise<void> {
    await this.#lookAgain(at);
    const wanted = numbers.map((number) => keys[number] as ObjectKey);
    const seen: ObjectKey[] = [];
    for await (const { key, object } of this.#instance(at).store.extractMany(wanted)) {
      seen.push(key);
      assert.equal(object !== undefined, this.#present.has(key), "extractMany");
      if (object !== undefined) assert.equal(keyOf(await object.bytes()), key);
    }
    assert.deepEqual(seen.sort(), wanted.sort());
  }

  async #delete({ at, contents: numbers }: Command & { op: "delete" }): Promise<void> {
    const wanted = [...new Set(numbers.map((number) => keys[number] as ObjectKey))];
    const expected = wanted.filter((key) => this.#present.has(key));
    assert.deepEqual((await this.#instance(at).store.delete(wanted)).sort(), expected.sort());
    for (const key of wanted) this.#present.delete(key);
  }

  async #pack({ at, clean, compress }: Command & { op: "pack" }): Promise<void> {
    const { damaged } = await this.#instance(at).pack({ clean, compress });
    assert.deepEqual(damaged, []);
    const { loose } = await this.#instance(at).status();
    assert.equal(loose.waiting.objects, 0, "loose objects in no pack after pack");
    if (clean) assert.equal(loose.objects, 0, "loose objects after pack");
  }

  async #repack({ at, all, compress }: Command & { op: "repack" }): Promise<void> {
    const { skipped } = await this.#instance(at).repack({ all, compress });
    // In version 1 disk-objectstore might be writing a pack whose last bytes were written just now.
    const mayBeSkipped = this.#subject.formatVersion === 1;
    for (const { code, message } of skipped) assert.ok(mayBeSkipped && code === "LOCKED", message);
    if (all && skipped.length === 0)
      assert.equal((await this.#instance(at).status()).deadBytes, 0, "dead bytes after repack");
  }

  async #moveOutAndIn({ at, contents: numbers }: Command & { op: "move out and in" }): Promise<void> {
    await this.#lookAgain(at);
    const wanted = [...new Set(numbers.map((number) => keys[number] as ObjectKey))];
    const there = wanted.filter((key) => this.#present.has(key));
    const instance = this.#instance(at);
    const pieces: Uint8Array[] = [];
    const exported = await instance.exportArchive((bytes) => void pieces.push(Uint8Array.from(bytes)), wanted);
    assert.deepEqual([exported.objects, exported.missingObjects], [there.length, wanted.length - there.length]);
    await instance.store.delete(there);
    const { importedObjects, problems } = await this.#instance(1 - at).importArchive(pieces);
    assert.deepEqual([importedObjects, problems], [there.length, []]);
  }

  async #import({ at, contents: numbers, to }: Command & { op: "import" }): Promise<void> {
    const distinct = [...new Set(numbers)];
    const expected = distinct.filter((number) => !this.#present.has(keys[number] as ObjectKey)).length;
    const sources = distinct.map((number) => contents[number] as Uint8Array);
    const { importedObjects, presentObjects, problems } = await this.#instance(at).importContents(sources, to);
    assert.deepEqual([importedObjects, presentObjects, problems], [expected, distinct.length - expected, []]);
    for (const number of distinct) this.#present.set(keys[number] as ObjectKey, number);
  }

  async #list(at: number): Promise<void> {
    assert.deepEqual(await Array.fromAsync(this.#instance(at).store.keys()), [...this.#present.keys()].sort());
  }

  async #status(at: number): Promise<void> {
    const { objects, rawBytes } = await this.#instance(at).status();
    const bytes = [...this.#present.values()].reduce((sum, number) => sum + (contents[number]?.length ?? 0), 0);
    assert.deepEqual([objects, rawBytes], [this.#present.size, bytes]);
  }

  /** What another process has deleted is found until the index files are looked at again, as for a list. */
  async #lookAgain(at: number): Promise<void> {
    for await (const _ of this.#instance(at).store.keys()) break;
  }

  /** After each command: some keys in both instances; now and then everything. */
  async check(step: number): Promise<void> {
    for (const at of [0, 1]) {
      await this.#lookAgain(at);
      for (let i = 0; i < 4; i++) {
        const key = keys[(step * 7 + i * 13 + at) % CONTENTS] as ObjectKey;
        assert.equal(await this.#instance(at).store.has(key), this.#present.has(key), `has(${key})`);
      }
    }
    await this.#list(step % 2);
    if (step % LOOK_EVERY === LOOK_EVERY - 1) await this.checkAll();
  }

  async checkAll(): Promise<void> {
    for (const at of [0, 1]) {
      await this.#readMany(at, [...keys.keys()]);
      await this.#list(at);
      await this.#status(at);
      const { problems } = await this.#instance(at).validate();
      assert.deepEqual(problems, []);
    }
  }
}

/** What went wrong, and at which command. */
export interface Failure {
  readonly step: number;
  readonly error: Error;
}

/** Runs commands on a new container; undefined when it did all the time what a Map would have done. */
export async function runCommands(
  make: () => Promise<Subject>,
  commands: readonly Command[],
): Promise<Failure | undefined> {
  const subject = await make();
  const model = new Model(subject);
  let step = 0;
  try {
    for (; step < commands.length; step++) {
      await model.run(commands[step] as Command);
      await model.check(step);
    }
    await model.checkAll();
    return undefined;
  } catch (error) {
    return { step, error: error as Error };
  } finally {
    await subject.close().catch(() => undefined);
  }
}

/** Fewer commands that fail, too: runs of them are left out as long as something still fails, then contents of single ones. */
export async function shrink(
  make: () => Promise<Subject>,
  commands: readonly Command[],
  runsMax = 300,
): Promise<readonly Command[]> {
  let list = commands;
  let runs = 0;
  const fails = async (shorter: readonly Command[]): Promise<boolean> => {
    if (runs++ >= runsMax) return false;
    const failure = await runCommands(make, shorter);
    if (failure !== undefined) list = shorter.slice(0, failure.step + 1);
    return failure !== undefined;
  };
  for (let size = Math.ceil(list.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = list.length - size; at >= 0; at -= size) {
      if (at < list.length) await fails(list.toSpliced(at, size));
    }
  }
  for (let at = list.length - 1; at >= 0; at--) {
    const command = list[at];
    if (command === undefined || !("contents" in command)) continue;
    for (let i = command.contents.length - 1; i >= 0; i--) {
      const now = list[at] as Command & { op: "delete" };
      if (now.contents.length > 1) await fails(list.with(at, { ...now, contents: now.contents.toSpliced(i, 1) }));
    }
  }
  return list;
}
