import { noise, prose } from "../../src/testing/contents.ts";
import { rebuildIndex } from "../support/stores.ts";
import { insertStream, mixedSteps, type Step, steps } from "../support/workload.ts";
import {
  cleanAll,
  drop,
  erase,
  flush,
  flushUnsynced,
  inOrder,
  keysOf,
  pack,
  packUnsynced,
  put,
  rewrite,
  SMALL_PACKS,
  tiny,
} from "./crash-steps.ts";
import type { Operation } from "./explorer.ts";

const LARGE = 4 * 1024 ** 2 + 50;
/** For operations that handle megabytes. */
const LARGE_PAGE = 512 * 1024;

/** Inserts loose, or packed, what came by these steps. */
const insertAgain = (what: string, unsynced: readonly Step[]): Operation[] =>
  (["loose", "packed"] as const).map((to) => ({
    name: `insert ${to} what ${what}`,
    lenient: true,
    unsynced,
    run: put(to, 2, 1).run,
  }));

/** The crash table: everything that writes, each from a disk that holds something already. */
export const operations: readonly Operation[] = [
  { name: "insert loose", run: put("loose", 1, 1).run },
  { name: "insert loose, into folders that are there", before: [put("loose", 3, 1)], run: put("loose", 3, 2).run },
  { name: "insert loose, flat", settings: { loosePrefixLen: 0 }, run: put("loose", 3, 2).run },
  { name: "insertMany loose", run: put("loose", 4, 1).run },
  ...insertAgain("is loose, unsynced", [drop("loose", 2, 1)]),
  ...insertAgain("is packed, unsynced", [drop("packed", 2, 1)]),
  { name: "insert packed, first pack", run: put("packed", 3, 1).run },
  { name: "insert packed, behind others", before: [put("packed", 3, 1)], run: put("packed", 2, 2).run },
  {
    name: "insert packed, behind others that are not synced",
    lenient: true,
    unsynced: [drop("packed", 2, 1)],
    run: put("packed", 2, 2).run,
  },
  {
    name: "insert packed, several commits",
    before: [put("packed", 1, 1), flush],
    run: inOrder(put("packed", 2, 2), put("packed", 2, 3), put("packed", 2, 4)),
  },
  { name: "insert packed, several packs", settings: SMALL_PACKS, run: put("packed", 6, 1).run },
  {
    name: "insert packed into packs, beside others",
    settings: SMALL_PACKS,
    before: [put("packed", 5, 1), flush],
    run: put("packed", 5, 2).run,
  },
  { name: "pack and clean", before: [put("loose", 3, 1)], run: pack(true).run },
  { name: "pack and clean, what is not synced", lenient: true, unsynced: [drop("loose", 3, 1)], run: pack(true).run },
  {
    name: "pack and clean, over several packs",
    settings: SMALL_PACKS,
    before: [put("loose", 5, 1)],
    run: pack(true).run,
  },
  ...insertAgain("was packed, and was never synced while it was loose", [drop("loose", 2, 1), pack(true)]),
  ...insertAgain("was packed, all without sync", [drop("loose", 2, 1), packUnsynced]),
  {
    name: "delete what was packed, all without sync",
    lenient: true,
    unsynced: [drop("loose", 2, 1), packUnsynced],
    run: erase(keysOf(tiny(2, 1))).run,
  },
  { name: "pack, then clean", before: [put("loose", 2, 1)], run: inOrder(pack(false), cleanAll) },
  { name: "clean", before: [put("loose", 3, 1), pack(false)], run: cleanAll.run },
  { name: "delete loose", before: [put("loose", 3, 1)], run: erase(keysOf(tiny(2, 1))).run },
  { name: "delete packed", before: [put("packed", 3, 1), flush], run: erase(keysOf(tiny(2, 1))).run },
  {
    name: "delete from several packs",
    settings: SMALL_PACKS,
    before: [put("packed", 5, 1), flush],
    run: erase(keysOf(tiny(4, 1))).run,
  },
  { name: "delete what is in both", before: [put("loose", 3, 1), pack(false)], run: erase(keysOf(tiny(2, 1))).run },
  {
    name: "delete what was packed just now",
    before: [put("loose", 2, 1)],
    run: inOrder(pack(true), erase(keysOf(tiny(1, 1)))),
  },
  {
    name: "delete, and insert again",
    before: [put("packed", 2, 1), flush],
    run: inOrder(erase(keysOf(tiny(2, 1))), put("packed", 1, 1), put("loose", 2, 1)),
  },
  {
    name: "insert what is in an index that is not synced",
    lenient: true,
    unsynced: [drop("packed", 2, 1), flushUnsynced],
    run: put("packed", 2, 1).run,
  },
  { name: "index flush", before: [put("packed", 3, 1)], run: flush.run },
  {
    name: "index merge",
    before: [put("packed", 2, 1), flush, put("packed", 8, 2), flush, put("packed", 2, 3)],
    run: flush.run,
  },
  {
    name: "delete, and flush beside a larger segment",
    before: [put("packed", 8, 1), flush],
    run: inOrder(erase(keysOf(tiny(1, 1))), flush),
  },
  {
    name: "rebuild-index",
    before: [put("packed", 3, 1), flush, put("packed", 3, 2)],
    run: rebuildIndex,
  },
];

/** Repack, from disks whose packs have dead bytes. */
export const repackOperations: readonly Operation[] = [
  {
    name: "repack",
    before: [put("packed", 3, 1), erase(keysOf(tiny(1, 1))), flush],
    run: rewrite().run,
  },
  {
    name: "repack without segments, and insert",
    before: [put("packed", 3, 1), erase(keysOf(tiny(1, 1)))],
    run: inOrder(rewrite(), put("packed", 1, 2)),
  },
  {
    name: "repack what is not synced",
    lenient: true,
    before: [put("packed", 1, 3)],
    unsynced: [drop("packed", 3, 1)],
    run: rewrite({ all: true }).run,
  },
  {
    name: "repack all, compressed anew",
    before: [put("packed", 3, 1), flush],
    run: rewrite({ all: true, compression: "zlib:+9" }).run,
  },
  {
    name: "repack, of which nothing is left",
    before: [put("packed", 2, 1), erase(keysOf(tiny(2, 1))), flush],
    run: inOrder(rewrite(), put("packed", 2, 1)),
  },
  {
    name: "delete, repack, delete, repack",
    before: [put("packed", 3, 1), flush],
    run: inOrder(erase(keysOf(tiny(1, 1))), rewrite(), erase(keysOf(tiny(2, 1))), rewrite()),
  },
  {
    name: "repack of several packs, one by one",
    settings: SMALL_PACKS,
    before: [put("packed", 5, 1), erase(keysOf(tiny(1, 1))), flush],
    run: rewrite({ all: true }).run,
  },
  {
    name: "repack that merges packs",
    settings: { packSizeTarget: 150, compression: "none" },
    before: [put("packed", 8, 1), erase(keysOf(tiny(8, 1)).filter((_, i) => i % 4 > 0)), flush],
    run: rewrite().run,
  },
  {
    name: "repack of what was deleted and inserted again",
    before: [put("packed", 2, 1), erase(keysOf(tiny(2, 1))), put("packed", 2, 1), flush],
    run: rewrite().run,
  },
];

/** Those that take longer: large objects, and many operations after one another with nothing synced but by themselves. */
export const longOperations: readonly Operation[] = [
  {
    name: "insert a large stream, loose",
    pageSize: LARGE_PAGE,
    run: (stores, state) => insertStream(stores, state, prose(LARGE, 3), "loose"),
  },
  {
    name: "insert a large stream, packed",
    pageSize: LARGE_PAGE,
    before: [put("packed", 2, 1)],
    run: (stores, state) => insertStream(stores, state, prose(LARGE, 4), "packed"),
  },
  {
    name: "insert a large stream, packed, that does not shrink, and again",
    pageSize: LARGE_PAGE,
    run: async (stores, state) => {
      await insertStream(stores, state, noise(LARGE, 5), "packed");
      await insertStream(stores, state, noise(LARGE, 5), "packed");
    },
  },
  {
    name: "everything, one pack",
    pageSize: 512,
    run: inOrder(...steps.filter(({ large }) => !large)),
  },
  { name: "everything, with and without syncs", lenient: true, run: inOrder(...mixedSteps) },
  {
    name: "everything, small packs, flat",
    settings: { compression: "none", packSizeTarget: 5000, loosePrefixLen: 0 },
    run: inOrder(...steps.filter(({ large }) => !large)),
  },
];
