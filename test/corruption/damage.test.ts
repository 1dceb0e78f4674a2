import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { parseManifest } from "../../src/format/manifest.ts";
import { parseTocFileName } from "../../src/format/paths.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import type { ObjectStat } from "../../src/store/object-store.ts";
import { noise, numbers, prose } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";
import { seeded } from "../support/seeded.ts";
import { type Damage, type Files, type RepairOutcome, repairDamage } from "./repaired-damage.ts";

const long = process.env["TSDOS_PROOF"] === "long";
/** Of so many bytes one is damaged, and of so many lengths one is tried. In files of SQLite fewer: they are mostly free space. */
const ONE_OF = long ? 1 : 47;
const ONE_OF_SQLITE = long ? 7 : 997;
/** Of so many damages that `validate` notices one is repaired, and all of files of SQLite. */
const REPAIRED_ONE_OF = long ? 5 : 10;
const ABSENT = "f".repeat(64);
/** Bytes of memory that no damage may cost. */
const MEMORY_MAX = 1024 ** 3;

interface Variant {
  readonly formatVersion: 1 | 2;
  /** Which entries are in the index files, too. */
  readonly indexed: "all" | "some" | "none";
}

interface Sample {
  readonly files: Files;
  readonly contents: ReadonlyMap<ObjectKey, Uint8Array>;
  readonly places: readonly ObjectStat[];
}

/** A small container with some of everything. */
async function sample({ formatVersion, indexed }: Variant): Promise<Sample> {
  const root = join(temporaryFolder(), "container");
  const container = await Container.create(root, { formatVersion, packSizeTarget: 900 });
  const groups = [
    [noise(300, 1), prose(900, 2), new Uint8Array()],
    [noise(150, 3), prose(1200, 4), noise(400, 5)],
    [noise(40, 6), prose(60, 7)],
  ];
  const [first, second, loose] = groups as [Uint8Array[], Uint8Array[], Uint8Array[]];
  const gone = noise(77, 8);
  await Array.fromAsync(container.insertMany([...first, gone], { to: "packed" }));
  if (formatVersion === 2) await container.rebuildIndex();
  await container.delete([keyOf(gone)]);
  await Array.fromAsync(container.insertMany(second, { to: "packed" }));
  await Array.fromAsync(container.insertMany(loose, { to: "loose" }));
  if (formatVersion === 2 && indexed === "all") await container.rebuildIndex();
  const places = await Array.fromAsync(container.inspect("packed"));
  await container.close();
  if (indexed === "none") rmSync(join(root, "packed/index"), { recursive: true });
  return { files: filesOf(root), contents: new Map(groups.flat().map((bytes) => [keyOf(bytes), bytes])), places };
}

function filesOf(root: string): Files {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => statSync(join(root, name)).isFile());
  return new Map(files.sort().map((name) => [relative(".", name), readFileSync(join(root, name))]));
}

function lay(root: string, files: Files): void {
  rmSync(root, { recursive: true, force: true });
  for (const folder of ["loose", "sandbox"]) mkdirSync(join(root, folder), { recursive: true });
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), bytes);
  }
}

function* damagesOf(name: string, bytes: Buffer, next: () => number): Generator<Damage> {
  yield { what: "removed", at: 0, bytes: undefined };
  const oneOf = /^packs.idx|lock$/.test(name) ? ONE_OF_SQLITE : ONE_OF;
  for (let at = next() % oneOf; at < bytes.length; at += oneOf) {
    yield { what: `cut at byte ${at}`, at, bytes: bytes.subarray(0, at) };
    const old = bytes[at] as number;
    for (const value of new Set([old ^ 1, old ^ 0x80, old ^ 0xff, 0])) {
      if (value === old) continue;
      const copy = Buffer.from(bytes);
      copy[at] = value;
      yield { what: `byte ${at}: ${value} in place of ${old}`, at, bytes: copy };
    }
  }
}

/** What came of one damage. */
interface Outcome {
  /** Reads that were refused, of any kind. */
  refused: number;
  /** Objects that seemed absent. */
  hidden: number;
  /** False also when it was refused. */
  valid: boolean;
}

async function look(root: string, contents: Sample["contents"]): Promise<Outcome> {
  const outcome: Outcome = { refused: 0, hidden: 0, valid: true };
  const orRefused = async (read: () => Promise<void>): Promise<boolean> => {
    try {
      await read();
      return true;
    } catch (error) {
      if (!isTsdosError(error)) throw error;
      outcome.refused++;
      return false;
    }
  };
  const present = (isPresent: boolean): void => {
    if (!isPresent) outcome.hidden++;
  };
  let container: Container | undefined;
  await orRefused(async () => {
    container = await Container.open(root, { lockTimeoutMs: 0 });
  });
  if (container === undefined) return { ...outcome, valid: false };
  await using opened: Container = container;
  const right = (key: ObjectKey, bytes: Uint8Array): void =>
    assert.equal(Buffer.compare(bytes, contents.get(key) as Uint8Array), 0, `wrong bytes of ${key}`);
  for (const key of contents.keys()) {
    await orRefused(async () => present(await opened.has(key)));
    await orRefused(async () => {
      const object = await opened.extract(key);
      if (object === undefined) outcome.hidden++;
      else right(key, await object.bytes());
    });
  }
  await orRefused(async () => {
    for await (const { key, object } of opened.extractMany(contents.keys())) {
      if (object === undefined) outcome.hidden++;
      else await orRefused(async () => right(key, await object.bytes()));
    }
  });
  await orRefused(async () => {
    const listed = new Set<string>(await Array.fromAsync(opened.keys()));
    for (const key of contents.keys()) present(listed.has(key));
  });
  await orRefused(async () => assert.equal(await opened.has(ABSENT), false));
  const reads = outcome.refused;
  const validated = await orRefused(async () => {
    outcome.valid = (await opened.validate({ threads: 1 })).valid;
  });
  if (!validated) outcome.valid = false;
  outcome.refused = reads;
  return outcome;
}

/** Index files of version 2 are caches: nothing is refused without them. Nor do lock files hold anything. */
const isNeedless = (name: string): boolean => /^packed\/index\/|lock|\.json$/.test(name) && name !== "config.json";

interface Counts {
  damages: number;
  noticed: number;
  /** By `validate` only. */
  byValidate: number;
  hidden: number;
  repaired: number;
  /** Objects that were lost with that. */
  lost: number;
  unrepaired: number;
}

const NONE: Readonly<Counts> = {
  damages: 0,
  noticed: 0,
  byValidate: 0,
  hidden: 0,
  repaired: 0,
  lost: 0,
  unrepaired: 0,
};

async function damageAll(variant: Variant, seed: number): Promise<Map<string, Counts>> {
  const next = numbers(seed);
  const { files, contents, places } = await sample(variant);
  const root = join(temporaryFolder(), "damaged");
  lay(root, files);
  const sound = await look(root, contents);
  assert.deepEqual(sound, { refused: 0, hidden: 0, valid: true });
  const counts = new Map<string, Counts>();
  for (const [name, bytes] of files) {
    const kind = name.startsWith("loose/") ? "loose/*" : name;
    const count = counts.get(kind) ?? { ...NONE };
    counts.set(kind, count);
    for (const damage of damagesOf(name, bytes, next)) {
      const damaged = new Map(files);
      if (damage.bytes === undefined) damaged.delete(name);
      else damaged.set(name, damage.bytes);
      lay(root, damaged);
      try {
        const outcome = await look(root, contents);
        judge({ name, damage, outcome, guarded: guardedBytes(name, damage, files) }, count);
        if (outcome.valid || (!name.startsWith("packs.idx") && next() % REPAIRED_ONE_OF > 0)) continue;
        lay(root, damaged);
        note(await repairDamage({ root, files, contents, places, name, damage }), count);
      } catch (error) {
        throw new Error(`${name}: ${damage.what}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  return counts;
}

function note(repaired: RepairOutcome | undefined, count: Counts): void {
  if (repaired === undefined) return;
  count.repaired++;
  count.lost += repaired.lost;
  if (repaired.unrepaired > 0) count.unrepaired++;
}

/** How much of a TOC is safe from being taken for an append that was interrupted: what MANIFEST calls valid, or has entries behind it. */
function guardedBytes(name: string, { bytes }: Damage, files: Files): number {
  const packId = parseTocFileName(basename(name));
  if (packId === undefined) return Number.POSITIVE_INFINITY;
  const manifest = files.get("packed/index/MANIFEST")?.toString() ?? "";
  const size = files.get(name)?.length ?? 0;
  const isCut = bytes?.length !== size;
  return Math.max(parseManifest(manifest)?.valid.get(packId) ?? 0, isCut ? 0 : size - ENTRY_SIZE);
}

interface Case {
  readonly name: string;
  readonly damage: Damage;
  readonly outcome: Outcome;
  readonly guarded: number;
}

function judge({ name, damage, outcome, guarded }: Case, count: Counts): void {
  const { refused, hidden, valid } = outcome;
  count.damages++;
  if (refused > 0) count.noticed++;
  else if (!valid) count.byValidate++;
  if (hidden > 0) count.hidden++;
  if (refused > 0) assert.equal(valid, false, "reads are refused, and validate notices nothing");
  if (isNeedless(name)) {
    assert.equal(refused, 0, "nothing needs it, and reads are refused");
    assert.equal(hidden, 0, "nothing needs it, and objects seem absent");
  }
  // A loose object's file is all there is to say that it exists.
  const isGone = name.startsWith("loose/") && damage.bytes === undefined;
  // These have no checksum of their own, see docs/durability.md.
  const isUnguarded = name === "config.json" || name.startsWith("packs.idx") || damage.at >= guarded;
  if (hidden > 0 && !isGone) assert.ok(isUnguarded, "an object seems absent");
  if (hidden > 0 && name.startsWith("packs.idx")) assert.equal(valid, false, "hidden, and validate notices nothing");
}

const variants: Readonly<Record<string, Variant>> = {
  "version 2": { formatVersion: 2, indexed: "all" },
  "version 2, index behind": { formatVersion: 2, indexed: "some" },
  "version 2, index lost": { formatVersion: 2, indexed: "none" },
  "version 1": { formatVersion: 1, indexed: "all" },
};
for (const [title, variant] of Object.entries(variants)) {
  seeded(
    `${title}: any damage of any file gives right bytes or a coded error, validate notices, and repair loses nothing that is good`,
    async (seed, t) => {
      const counts = await damageAll(variant, seed);
      let damages = 0;
      let repairs = 0;
      for (const [name, count] of counts) {
        const { noticed, byValidate, hidden, repaired, lost, unrepaired } = count;
        damages += count.damages;
        repairs += repaired;
        const rest = count.damages - noticed - byValidate;
        t.diagnostic(
          `${name}: ${count.damages} damages: reads refuse ${noticed}, only validate notices ${byValidate}, ${rest} do no harm` +
            `${hidden > 0 ? `; ${hidden} hide objects` : ""}` +
            `${repaired > 0 ? `; ${repaired} repaired, with ${lost} objects lost` : ""}` +
            `${unrepaired > 0 ? `, ${unrepaired} of them not wholly` : ""}`,
        );
      }
      t.diagnostic(`${title}: ${damages} damages, 0 wrong bytes; ${repairs} repairs`);
    },
  );
}

test("damage does not cost memory without a bound", () => {
  assert.ok(process.resourceUsage().maxRSS * 1024 < MEMORY_MAX, `${process.resourceUsage().maxRSS} KiB`);
});
