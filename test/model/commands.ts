import type { CompressMode, Destination } from "../../src/index.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import type { Next } from "../support/random.ts";

/** Contents are named by numbers, so that a list of commands is short to print. They come again and again. */
export const CONTENTS = 60;

/** Small ones, an empty one, and two above 4 MiB. */
export function contentOf(number: number): Uint8Array {
  if (number === 0) return new Uint8Array();
  if (number === 17) return prose(4_300_000, number);
  if (number === 18) return noise(4_250_000, number);
  return number % 3 === 0 ? noise(number * 37, number) : prose(number * 91, number);
}

/** Ways to hand content to the store. */
export const sourceKinds = ["bytes", "blob", "pieces", "web stream", "node stream", "file"] as const;
export type SourceKind = (typeof sourceKinds)[number];

/** What is done next; plain data, so that a failing list can be shortened, printed and run again. `at` is one of two open instances. */
export type Command =
  | {
      readonly op: "insert";
      readonly at: number;
      readonly contents: readonly number[];
      readonly kinds: readonly SourceKind[];
      readonly to: Destination;
      readonly compress: CompressMode;
      readonly checkExisting: boolean;
      /** One that fails stands in front of the last one. */
      readonly failing: boolean;
    }
  | {
      readonly op: "insert and crash";
      readonly at: number;
      readonly contents: readonly number[];
      readonly to: Destination;
      readonly taken: number;
    }
  | { readonly op: "read"; readonly at: number; readonly content: number; readonly start: number; readonly end: number }
  | { readonly op: "read many"; readonly at: number; readonly contents: readonly number[] }
  | { readonly op: "delete"; readonly at: number; readonly contents: readonly number[] }
  | { readonly op: "pack"; readonly at: number; readonly clean: boolean; readonly compress: CompressMode }
  | { readonly op: "clean"; readonly at: number; readonly dryRun: boolean }
  | { readonly op: "repack"; readonly at: number; readonly all: boolean; readonly compress: CompressMode }
  /** Objects are exported to an archive, deleted, and imported again. */
  | { readonly op: "move out and in"; readonly at: number; readonly contents: readonly number[] }
  /** From another container. */
  | { readonly op: "import"; readonly at: number; readonly contents: readonly number[]; readonly to: Destination }
  | { readonly op: "list" | "validate" | "rebuild" | "reopen" | "lose the index" | "status"; readonly at: number }
  | { readonly op: "crash" }
  | { readonly op: "power cut"; readonly luck: number; readonly seed: number };

type Op = Command["op"];

const weights: Readonly<Record<Op, number>> = {
  insert: 14,
  "insert and crash": 2,
  read: 5,
  "read many": 3,
  delete: 5,
  pack: 4,
  clean: 3,
  repack: 4,
  "move out and in": 2,
  import: 2,
  list: 2,
  status: 1,
  validate: 1,
  rebuild: 1,
  reopen: 2,
  "lose the index": 1,
  crash: 1,
  "power cut": 2,
};
const bag = (Object.keys(weights) as Op[]).flatMap((op) => Array.from({ length: weights[op] }, () => op));

const pick = <T>(items: readonly T[], next: Next): T => items[next() % items.length] as T;
const some = (next: Next, most: number): number[] =>
  Array.from({ length: 1 + (next() % most) }, () => next() % CONTENTS);
const compressModes = ["auto", "yes", "no", "keep"] as const;
const destinations = ["loose", "packed", "auto"] as const;

export function randomCommand(next: Next): Command {
  const op = pick(bag, next);
  const at = next() % 2;
  switch (op) {
    case "insert": {
      const contents = some(next, next() % 8 === 0 ? 90 : 8);
      return {
        op,
        at,
        contents,
        kinds: contents.map(() => (next() % 2 === 0 ? "bytes" : pick(sourceKinds, next))),
        to: pick(destinations, next),
        compress: pick(compressModes, next),
        checkExisting: next() % 4 === 0,
        failing: next() % 8 === 0,
      };
    }
    case "insert and crash": {
      const contents = some(next, 12);
      return { op, at, contents, to: pick(destinations, next), taken: next() % (contents.length + 1) };
    }
    case "read":
      return { op, at, content: next() % CONTENTS, start: (next() % 6000) - 100, end: (next() % 9000) - 100 };
    case "read many":
    case "delete":
      return { op, at, contents: some(next, 20) };
    case "pack":
      return { op, at, clean: next() % 3 !== 0, compress: pick(compressModes, next) };
    case "repack":
      return { op, at, all: next() % 2 === 0, compress: pick(compressModes, next) };
    case "move out and in":
      return { op, at, contents: some(next, 20) };
    case "import":
      return { op, at, contents: some(next, 20), to: pick(destinations, next) };
    case "clean":
      return { op, at, dryRun: next() % 4 === 0 };
    case "crash":
      return { op };
    case "power cut":
      return { op, luck: pick([0, 0.3, 0.7, 1], next), seed: next() };
    default:
      return { op, at };
  }
}
