import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { type RepackOptions, repack } from "../../src/maintenance/repack.ts";
import { noise } from "../../src/testing/contents.ts";
import { flushIndex } from "../support/stores.ts";
import { insert, insertUnsynced, remove, type Step } from "../support/workload.ts";

/** Contents of a few dozen bytes: few changes, so that every subset of them can be tried. */
export function tiny(count: number, seed: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => Buffer.concat([Buffer.from(`${seed}/${i} `), noise(20 + i * 9, i)]));
}

export const keysOf = (contents: readonly Uint8Array[]): ObjectKey[] => contents.map(keyOf);

export const put = (to: "loose" | "packed", count: number, seed: number): Step => ({
  name: `put ${count} ${to}`,
  run: (stores, state) => insert(stores, state, tiny(count, seed), { to }),
});
export const drop = (to: "loose" | "packed", count: number, seed: number): Step => ({
  name: `drop ${count} ${to}`,
  run: (stores, state) => insertUnsynced(stores, state, tiny(count, seed), to),
});
export const flush: Step = { name: "flush", run: (stores) => flushIndex(stores) };
export const flushUnsynced: Step = { name: "flush without sync", run: (stores) => flushIndex(stores, false) };
export const pack = (cleaning: boolean): Step => ({
  name: "pack",
  run: async ({ combined }) => void (await packLoose(combined, { clean: cleaning })),
});
export const packUnsynced: Step = {
  name: "pack without sync",
  run: async ({ combined }) => void (await packLoose(combined, { durability: "process" })),
};
export const cleanAll: Step = {
  name: "clean",
  run: async ({ combined }) => void (await clean(combined, { sandboxAgeMs: 0 })),
};
export const rewrite = (options: RepackOptions = {}): Step => ({
  name: "repack",
  run: async ({ combined }) => void (await repack(combined, options)),
});
export const erase = (keys: readonly ObjectKey[]): Step => ({
  name: "erase",
  run: (stores, state) => remove(stores, state, keys),
});
export const inOrder =
  (...parts: Step[]): Step["run"] =>
  async (stores, state) => {
    for (const part of parts) await part.run(stores, state);
  };

export const SMALL_PACKS = { packSizeTarget: 100, compression: "none" };
