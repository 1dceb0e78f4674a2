import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Container, type Destination, isTsdosError, type StoredObject } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { Actor } from "./actor.ts";
import { contentOf } from "./contents.ts";
import { say } from "./lines.ts";

interface Verb {
  /** How often it is chosen, compared with the others, by an actor that does everything. */
  readonly share: number;
  /** The only format version that has it. */
  readonly version?: 1 | 2;
  readonly act: (actor: Actor) => Promise<unknown>;
}

async function insert(actor: Actor, ids: readonly number[], to: Destination): Promise<void> {
  const sources = function* () {
    for (const id of ids) yield actor.source(id);
  };
  const compress = actor.pick(["auto", "no", "yes"] as const);
  for await (const { key, index } of actor.container.insertMany(sources(), { to, compress }))
    actor.acknowledged(key, ids[index] as number);
}

const insertNew = (to: Destination): Verb["act"] => {
  return (actor) =>
    insert(
      actor,
      Array.from({ length: 1 + actor.below(40) }, () => actor.newId()),
      to,
    );
};

async function insertAgain(actor: Actor): Promise<void> {
  const again = actor.take(actor.gone, 1 + actor.below(10));
  for (const [key, id] of again) say("?", key, id);
  await insert(
    actor,
    again.map(([, id]) => id),
    actor.pick(["loose", "packed", "auto"]),
  );
}

async function remove(actor: Actor): Promise<void> {
  const doomed = actor.take(actor.mine, 1 + actor.below(20));
  for (const [key, id] of doomed) say("?", key, id);
  const deleted = await actor.container.delete(doomed.map(([key]) => key));
  assert.deepEqual(deleted.toSorted(), doomed.map(([key]) => key).sort(), "delete says which keys were there");
  for (const [key, id] of doomed) {
    say("-", key, id);
    actor.gone.set(key, id);
  }
}

/** Whoever gave the keys decides whether one that is not there is missing: it may have been deleted meanwhile. */
async function reading(key: string, how: string, read: () => Promise<unknown>): Promise<void> {
  try {
    if ((await read()) === undefined) say("!", key, how);
  } catch (error) {
    if (!isTsdosError(error, "NOT_FOUND")) throw error;
    say("!", key, how);
  }
}

async function intact(object: StoredObject | undefined, key: string): Promise<true | undefined> {
  if (object === undefined) return undefined;
  assert.equal(keyOf(await object.bytes()), key);
  return true;
}

async function readSingle(actor: Actor): Promise<void> {
  for (const key of actor.some(20)) {
    await reading(key, "extract", async () => intact(await actor.container.extract(key), key));
    await reading(key, "stat", () => actor.container.stat(key));
  }
}

async function readBulk(actor: Actor): Promise<void> {
  for await (const { key, object } of actor.container.extractMany(actor.some(500)))
    await reading(key, "extractMany", () => intact(object, key));
}

async function readRanges(actor: Actor): Promise<void> {
  for (const key of actor.some(10)) {
    await reading(key, "slice", async () => {
      const object = await actor.container.extract(key);
      if (object === undefined) return undefined;
      const start = actor.below(object.rawSize + 1);
      const part = await object.slice(start, start + actor.below(5000)).bytes();
      const whole = await object.bytes();
      assert.equal(keyOf(whole), key);
      assert.ok(Buffer.from(part).equals(whole.subarray(start, start + part.length)), `a slice of ${key}`);
      return true;
    });
  }
}

/** Handles and streams that are opened now and read later, when others may have moved the objects. */
async function readHeld(actor: Actor): Promise<void> {
  const held: [string, StoredObject, ReadableStreamDefaultReader<Uint8Array>][] = [];
  for (const key of actor.some(20)) {
    await reading(key, "held", async () => {
      const object = await actor.container.extract(key);
      if (object !== undefined) held.push([key, object, object.stream().getReader()]);
      return object;
    });
  }
  await sleep(actor.below(1000));
  for (const [key, object, stream] of held) {
    await reading(key, "held stream", async () => {
      const chunks: Uint8Array[] = [];
      for (let next = await stream.read(); !next.done; next = await stream.read()) chunks.push(next.value);
      assert.equal(keyOf(Buffer.concat(chunks)), key);
      return true;
    });
    await reading(key, "held handle", () => intact(object, key));
  }
}

async function list(actor: Actor): Promise<void> {
  const expected = new Set(actor.some(2000));
  let last = "";
  for await (const key of actor.container.keys()) {
    assert.ok(key > last, "keys come in ascending order, each once");
    last = key;
    expected.delete(key);
  }
  for (const key of expected) say("!", key, "keys");
}

/** A pack that a repack removes meanwhile may be called missing: what is really wrong is so the second time, too. */
async function validate(actor: Actor): Promise<void> {
  const { problems } = await actor.container.validate();
  assert.deepEqual(problems.slice(0, 3), []);
}

/** Into a folder beside the container, where others may have been killed; what was there before it began is in it. */
async function backup(actor: Actor): Promise<void> {
  const folder = `${actor.root}-backups-${actor.number % 4}`;
  const before = actor.some(500);
  const { name, problems } = await actor.container.backup(folder, { keep: 2 });
  assert.deepEqual(problems, []);
  await using container = await Container.open(join(folder, name as string));
  for await (const { key, object } of container.extractMany(before))
    await reading(key, "backup", () => intact(object, key));
}

/** From a container of its own, which holds nothing else when it is done. */
async function importNew(actor: Actor): Promise<void> {
  const folder = mkdtempSync(`${actor.root}-source-`);
  await using source = await Container.create(folder, { formatVersion: actor.pick([1, 2]) });
  const ids = Array.from({ length: 1 + actor.below(30) }, () => actor.newId());
  const to = actor.pick(["loose", "packed"] as const);
  const results = await Array.fromAsync(source.insertMany(ids.map(contentOf), { to, durability: "process" }));
  await actor.container.importFrom(source);
  for (const { key, index } of results) actor.acknowledged(key, ids[index] as number);
  rmSync(folder, { recursive: true });
}

/** The folder of a container that has some of the objects, too. */
export function copyOf(root: string): string {
  return `${root}-copy`;
}

async function repair(actor: Actor): Promise<void> {
  await using copy = await Container.open(copyOf(actor.root));
  await actor.container.repair({ from: [copy] });
}

/** What actors do. */
export const verbs: Readonly<Record<string, Verb>> = {
  loose: { share: 8, act: insertNew("loose") },
  packed: { share: 8, act: insertNew("packed") },
  auto: { share: 3, act: insertNew("auto") },
  again: { share: 3, act: insertAgain },
  shared: {
    share: 3,
    act: (actor) =>
      insert(
        actor,
        Array.from({ length: 20 }, () => actor.sharedId()),
        actor.pick(["loose", "packed"]),
      ),
  },
  delete: { share: 5, act: remove },
  pack: { share: 5, act: (actor) => actor.container.pack({ clean: actor.chance(70) }) },
  repack: {
    share: 3,
    act: (actor) => actor.container.repack({ all: actor.chance(40), compress: actor.pick(["keep", "auto", "no"]) }),
  },
  clean: { share: 3, act: (actor) => actor.container.clean() },
  "rebuild-index": { share: 2, version: 2, act: (actor) => actor.container.rebuildIndex() },
  backup: { share: 1, act: backup },
  import: { share: 2, act: importNew },
  validate: { share: 1, act: validate },
  repair: { share: 0, act: repair },
  "read-single": { share: 1, act: readSingle },
  "read-bulk": { share: 1, act: readBulk },
  "read-ranges": { share: 1, act: readRanges },
  "read-held": { share: 0, act: readHeld },
  list: { share: 1, act: list },
  open: { share: 2, act: (actor) => actor.open() },
};
