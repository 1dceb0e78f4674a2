import { noise, numbers, prose } from "../../src/testing/contents.ts";

/** Contents that all actors may insert and nobody deletes have ids below this. */
export const SHARED_CONTENTS = 100;
/** Each actor has so many ids of its own. */
export const IDS_PER_ACTOR = 1_000_000;

const LARGE = 4_300_000;

/** The content with this number, the same in every process: most of it small, some of it larger than what is held in memory. */
export function contentOf(id: number): Uint8Array {
  const next = numbers(id);
  const dice = next() % 500;
  const size = dice === 0 ? LARGE + (next() % 100_000) : next() % (dice < 15 ? 200_000 : 2000);
  const body = next() % 3 === 0 ? noise(size, next()) : prose(size, next());
  return Buffer.concat([Buffer.from(`${id}\n`), body]);
}
