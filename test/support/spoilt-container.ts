import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Container } from "../../src/container/container.ts";
import type { OpenStores } from "../../src/container/open-stores.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { noise, numbers, prose } from "../../src/testing/contents.ts";
import { BadSectors } from "./bad-sectors.ts";
import { flip, loosePathOf, newContainer } from "./damage.ts";
import { openFailing } from "./unreadable.ts";

const LARGE = 4 * 1024 ** 2 + 3000;

/** One of the two copies that an object may have. */
interface Copy {
  /** Its bytes are right, whether or not they can be read just now. */
  readonly intact: boolean;
  readonly unreadable: boolean;
}

export interface Copies {
  readonly loose: Copy | undefined;
  readonly packed: Copy | undefined;
}

export function isGood(copy: Copy | undefined): boolean {
  return copy?.intact === true && !copy.unreadable;
}

export const isReadable = ({ loose, packed }: Copies): boolean => isGood(loose) || isGood(packed);

/** There is a copy that has the right bytes, though perhaps nobody can read them just now. */
export const isThere = ({ loose, packed }: Copies): boolean => loose?.intact === true || packed?.intact === true;

/** The objects of a container, and what is hit of each. */
export type Looked = ReadonlyMap<ObjectKey, Copies>;

export function keysWhere(looked: Looked, is: (copies: Copies, key: ObjectKey) => boolean): ObjectKey[] {
  const found = [...looked].filter(([key, one]) => is(one, key));
  return found.map(([key]) => key).sort();
}

/** A container with loose objects, packed ones, and such as are both, on a disk that gets bad sectors, and wrong bytes. */
export class SpoiltContainer {
  readonly root: string;
  readonly formatVersion: 1 | 2;
  readonly next: () => number;
  readonly disk: BadSectors = new BadSectors();
  /** What was stored, and was neither deleted nor told to be lost. */
  readonly contents: Map<ObjectKey, Uint8Array> = new Map<ObjectKey, Uint8Array>();
  readonly deleted: Set<ObjectKey> = new Set<ObjectKey>();
  /** Wrong bytes may be in packs that no checksum tells: version 1 has none, and what is packed unverified gets that of wrong bytes. */
  hasUnseenDamage: boolean;
  /** How much of it was spoilt. */
  readonly counts = { sectors: 0, wrongBytes: 0 };

  private constructor(root: string, formatVersion: 1 | 2, next: () => number) {
    this.root = root;
    this.formatVersion = formatVersion;
    this.next = next;
    this.hasUnseenDamage = formatVersion === 1;
  }

  static async make(formatVersion: 1 | 2, seed: number): Promise<SpoiltContainer> {
    const next = numbers(seed);
    const { root, container } = await newContainer({ formatVersion, packSizeTarget: 6000 + (next() % 20_000) });
    const made = new SpoiltContainer(root, formatVersion, next);
    await made.#fill(container);
    await container.close();
    return made;
  }

  async #fill(container: Container): Promise<void> {
    const both = this.some(8);
    const packed = this.some(20);
    const loose = this.some(12);
    const large = [both, packed, loose][this.next() % 12];
    large?.push((this.next() % 2 ? noise : prose)(LARGE, this.next()));
    await Array.fromAsync(container.insertMany(both, { to: "loose" }));
    await container.pack({ clean: false });
    await Array.fromAsync(container.insertMany(packed, { to: "packed" }));
    await Array.fromAsync(container.insertMany(loose, { to: "loose" }));
    for (const bytes of [...both, ...packed, ...loose]) this.contents.set(keyOf(bytes), bytes);
    const gone = packed.slice(0, this.next() % 4).map(keyOf);
    await container.delete(gone);
    this.forget(gone);
  }

  /** New contents. */
  some(count: number): Uint8Array[] {
    const { next } = this;
    return Array.from({ length: count }, () => (next() % 2 ? noise : prose)(next() % 3000, next()));
  }

  forget(keys: readonly ObjectKey[]): void {
    for (const key of keys) {
      this.contents.delete(key);
      this.deleted.add(key);
    }
  }

  /** Up to so many bad sectors and wrong bytes, anywhere, and sometimes a folder of loose objects that cannot be listed. */
  spoil(sectors: number, wrongBytes: number): void {
    const { next, counts } = this;
    const files = this.#files();
    for (let left = next() % (sectors + 1); left > 0; left--) {
      const { path, size } = files[next() % files.length] as (typeof files)[number];
      const start = next() % size;
      this.disk.spoil(path, start, Math.min(size, start + 1 + (next() % 600)));
      counts.sectors++;
    }
    for (let left = next() % 2 ? next() % (wrongBytes + 1) : 0; left > 0; left--) {
      const { path, size } = files[next() % files.length] as (typeof files)[number];
      flip(path, next() % size);
      counts.wrongBytes++;
    }
    const loose = this.#loosePaths().filter((path) => existsSync(path));
    if (next() % 4 === 0 && loose.length > 0) this.disk.folder = dirname(loose[next() % loose.length] as string);
  }

  /** Bad sectors in tables of contents and in the index of version 2, one to three. */
  spoilIndex(): void {
    const { next, counts } = this;
    const folder = join(this.root, "packed");
    const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const files = names.filter((name) => /\.toc$|^index\/./.test(name)).map((name) => join(folder, name));
    for (let left = 1 + (next() % 3); left > 0; left--) {
      const path = files[next() % files.length] as string;
      const size = this.disk.sizeOf(path) ?? 0;
      const start = next() % Math.max(1, size);
      this.disk.spoil(path, start, start + 1);
      counts.sectors++;
    }
  }

  #loosePaths(): string[] {
    return [...this.contents.keys()].map((key) => loosePathOf(this.root, key));
  }

  #packPaths(): string[] {
    const folder = join(this.root, this.formatVersion === 1 ? "packs" : "packed");
    const names = readdirSync(folder).filter((name) => /^\d+(\.pack)?$/.test(name));
    return names.map((name) => join(folder, name));
  }

  /** Packs and loose objects that are not empty. Packs are in it several times, to be hit more often. */
  #files(): { readonly path: string; readonly size: number }[] {
    const packs = this.#packPaths();
    return [...packs, ...packs, ...packs, ...this.#loosePaths()].flatMap((path) => {
      const size = this.disk.sizeOf(path);
      return size ? [{ path, size }] : [];
    });
  }

  open(): Promise<OpenStores> {
    return openFailing(this.root, this.disk.errorOf);
  }

  /** Where each object is now, and what is hit of it. */
  async look(): Promise<Looked> {
    const { combined, close } = await openFailing(this.root, () => undefined);
    const looked = new Map<ObjectKey, Copies>();
    for (const [key, bytes] of this.contents) {
      const loose = await copyIn(combined, "loose", bytes, () =>
        this.disk.hits(combined.loose.pathOf(key), 0, bytes.length),
      );
      const packed = await copyIn(combined, "packed", bytes, () => {
        const { packId, offset, storedSize } = combined.packed.find(key) ?? assert.fail();
        return this.disk.hits(combined.packed.files.pathOf(packId), offset, offset + storedSize);
      });
      looked.set(key, { loose, packed });
    }
    close();
    return looked;
  }

  /** Whether the names in its loose folder can be read. */
  isSeen(key: ObjectKey): boolean {
    return dirname(loosePathOf(this.root, key)) !== this.disk.folder;
  }

  /** Whether a listing has it. */
  isListed(key: ObjectKey, { packed, loose }: Copies): boolean {
    return packed !== undefined || (loose !== undefined && this.isSeen(key));
  }
}

async function copyIn(
  store: CombinedStore,
  where: "loose" | "packed",
  bytes: Uint8Array,
  isHit: () => boolean,
): Promise<Copy | undefined> {
  const key = keyOf(bytes);
  if ((await store.stat(key, where)) === undefined) return undefined;
  let intact = false;
  try {
    const object = await store[where].extract(key, { verify: "hash" });
    intact = Buffer.compare((await object?.bytes()) ?? new Uint8Array(), bytes) === 0;
  } catch {
    // Damaged.
  }
  return { intact, unreadable: isHit() };
}
