import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import type { RepairOptions, RepairReport } from "../../src/maintenance/repair-reports.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { newContainer } from "./damage.ts";

/** The keys of what reads back right. */
export async function readableIn(root: string, contents: readonly Uint8Array[]): Promise<string[]> {
  await using container = await Container.open(root, { tidyIndex: false });
  return await readableFrom(container, contents);
}

/** As {@link readableIn}, from a store that is open. */
export async function readableFrom(
  store: Pick<ObjectStore, "extract">,
  contents: readonly Uint8Array[],
): Promise<ObjectKey[]> {
  const readable: ObjectKey[] = [];
  for (const bytes of contents) {
    const key = keyOf(bytes);
    try {
      const found = await (await store.extract(key, { verify: "hash" }))?.bytes();
      if (found !== undefined) readable.push(key);
    } catch {
      // Damaged, or nobody can tell whether it is there.
    }
  }
  return readable.sort();
}

/** The keys that a list of lost objects has, undefined for those that nobody knows. */
export function listedIn(lostKeysFile: string): (string | undefined)[] {
  const lines = existsSync(lostKeysFile) ? readFileSync(lostKeysFile, "utf8").trimEnd().split("\n") : [];
  return lines.map((line) => (JSON.parse(line) as { readonly key?: string }).key).sort();
}

export interface Repaired extends RepairReport {
  /** Keys that the list of lost objects has. */
  readonly listed: readonly (string | undefined)[];
}

/** Repairs, and checks that all is well then, and nothing was lost that could be read before. */
export async function repaired(
  root: string,
  contents: readonly Uint8Array[],
  options: RepairOptions = {},
): Promise<Repaired> {
  const before = await readableIn(root, contents);
  let dryQuarantined: number;
  {
    const untouched = readdirSync(root, { recursive: true }).sort();
    await using container = await Container.open(root, { tidyIndex: false });
    const dry = await container.repair({ ...options, dryRun: true });
    assert.ok(dry.dryRun);
    dryQuarantined = dry.quarantined;
    const known = (name: string | Buffer): boolean => !/lock|packs.idx-|sandbox$/.test(String(name));
    assert.deepEqual(
      readdirSync(root, { recursive: true }).sort().filter(known),
      untouched.filter(known),
      "a dry run changes nothing",
    );
  }
  await using container = await Container.open(root, { tidyIndex: false });
  const report = await container.repair(options);
  // A dry run counted none of the packed objects whose bytes go to quarantine. With a damaged index, it cannot tell of all.
  if (!report.indexRebuilt) assert.equal(dryQuarantined, report.quarantined);
  const after = await readableIn(root, contents);
  for (const key of before) assert.ok(after.includes(key), `${key} was readable before`);
  await using again = await Container.open(root, { tidyIndex: false });
  assert.deepEqual((await again.validate()).problems, []);
  assert.deepEqual((await container.validate()).problems, []);
  const keys = await Array.fromAsync(again.keys());
  for (const key of after) assert.ok(keys.includes(key as (typeof keys)[number]));
  assert.equal((await again.repair(options)).lost, 0, "nothing is left to do");
  const listed = listedIn(report.lostKeysFile);
  // What the container still takes: every content once more.
  await Array.fromAsync(again.insertMany(contents, { to: "packed" }));
  assert.equal((await readableIn(root, contents)).length, new Set(contents.map(keyOf)).size);
  assert.deepEqual((await again.validate()).problems, []);
  return { ...report, listed };
}

export async function filled(formatVersion: 1 | 2 = 2): Promise<{
  readonly root: string;
  readonly contents: Uint8Array[];
  readonly loose: Uint8Array[];
  readonly packed: Uint8Array[];
}> {
  const { root, container } = await newContainer({ formatVersion, packSizeTarget: 3000 });
  const contents = [...smallContents(60, 40)];
  const [packed, loose] = [contents.slice(0, 40), contents.slice(40)];
  await Array.fromAsync(container.insertMany(packed, { to: "packed" }));
  await Array.fromAsync(container.insertMany(loose));
  await container.close();
  return { root, contents, loose, packed };
}
