import assert from "node:assert/strict";
import { basename } from "node:path";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE, recordKey } from "../../src/format/entry.ts";
import { parseManifest } from "../../src/format/manifest.ts";
import { parsePackFileName, parseTocFileName } from "../../src/format/paths.ts";
import { tocHeaderSize } from "../../src/format/toc-header.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import type { ObjectStat } from "../../src/store/object-store.ts";
import { listedIn, readableIn } from "../support/repaired.ts";

export type Files = ReadonlyMap<string, Buffer>;

export interface Damage {
  readonly what: string;
  /** The first byte that is damaged. */
  readonly at: number;
  /** Undefined: the file is removed. */
  readonly bytes: Buffer | undefined;
}

export interface DamagedContainer {
  readonly root: string;
  /** Before the damage. */
  readonly files: Files;
  readonly contents: ReadonlyMap<ObjectKey, Uint8Array>;
  /** Of the packed objects. */
  readonly places: readonly ObjectStat[];
  readonly name: string;
  readonly damage: Damage;
}

/** What came of a repair; undefined where the container cannot be opened. */
export interface RepairOutcome {
  readonly lost: number;
  readonly unrepaired: number;
}

/** Repairs what `validate` has found, and checks that no more is lost than had to be, and that it is told. */
export async function repairDamage(damaged: DamagedContainer): Promise<RepairOutcome | undefined> {
  const { root, contents, name } = damaged;
  const before = await readableOrNone(root, contents);
  if (before === undefined) return undefined;
  await using container = await Container.open(root, { lockTimeoutMs: 0 });
  const { lostKeysFile, unrepaired } = await container.repair();
  const after = new Set(await readableIn(root, [...contents.values()]));
  for (const key of before) assert.ok(after.has(key), `${key} could be read before the repair`);
  const { problems } = await container.validate({ threads: 1 });
  assert.deepEqual(problems.length > 0 && unrepaired.length === 0 ? problems : [], [], "validate finds more after it");
  if (unrepaired.length > 0) assert.match(name, /^packs\.idx/, `left as it was: ${unrepaired[0]?.message}`);
  const lost = [...contents.keys()].filter((key) => !after.has(key));
  if (unrepaired.length === 0 && !/^packs\.idx|^config/.test(name)) {
    const hit = keysHit(damaged);
    for (const key of lost) assert.ok(hit.has(key), `${key} was not damaged, and is lost`);
    const list = new Set(listedIn(lostKeysFile));
    // A table of contents that is lost takes the keys along.
    const isNamed = (key: string): boolean => list.has(key) || list.has(undefined);
    for (const key of lost) assert.ok(isNamed(key), `${key} is lost, and not listed`);
    for (const key of after) assert.ok(!list.has(key), `${key} is listed as lost, and is there`);
  }
  return { lost: lost.length, unrepaired: unrepaired.length };
}

async function readableOrNone(root: string, contents: DamagedContainer["contents"]): Promise<string[] | undefined> {
  try {
    return await readableIn(root, [...contents.values()]);
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    return undefined;
  }
}

/** Keys of the objects of which the damage may have left nothing good, by what the files were before. */
function keysHit({ files, places, name, damage }: DamagedContainer): Set<string> {
  const [, prefix = "", rest = ""] = /^loose\/(\w+)\/(\w+)$/.exec(name) ?? [];
  if (rest !== "") return new Set([prefix + rest]);
  const file = basename(name);
  const { at, bytes } = damage;
  const size = files.get(name)?.length ?? 0;
  const isCut = bytes?.length !== size;
  const pack = parsePackFileName(file, 1) ?? parsePackFileName(file, 2);
  if (pack !== undefined) {
    const hit = places.filter(({ packId, offset = 0, storedSize }) => {
      return packId === pack && offset + storedSize > at && (isCut || offset <= at);
    });
    return new Set(hit.map(({ key }) => key));
  }
  const packId = parseTocFileName(file);
  // A single damaged entry is made anew.
  return packId === undefined || !isCut ? new Set() : entriesOnlyInToc(files, name, packId, at);
}

/** Keys of a TOC's entries that end behind `at`, and are in no segment. */
function entriesOnlyInToc(files: Files, name: string, packId: number, at: number): Set<string> {
  const covered = parseManifest(files.get("packed/index/MANIFEST")?.toString() ?? "")?.covered.get(packId) ?? 0;
  const toc = files.get(name) as Buffer;
  const keys = new Set<string>();
  for (let entry = tocHeaderSize(toc) as number; entry + ENTRY_SIZE <= toc.length; entry += ENTRY_SIZE)
    if (entry + ENTRY_SIZE > Math.max(at, covered)) keys.add(recordKey(toc, entry));
  return keys;
}
