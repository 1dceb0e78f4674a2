import { getU32 } from "../format/bytes.ts";
import { ENTRY_SIZE } from "../format/entry.ts";
import { PAGE_ENTRIES } from "../format/segment.ts";

/** Pages of a segment that share a filter: 16,384 records, which are read as one piece of 1 MiB. */
export const FILTERED_PAGES = 256;
/** Pages that were read in vain until a filter is worth making: as many bytes as that reads again are a quarter of what was read. */
const VAIN_READS = 64;
/** So much memory filters take at most, for one segment: 64 MiB, which is 67 million records. */
const FILTERS_MAX = 4096;
/** Words of a filter: a byte for each record. */
const WORDS: number = (FILTERED_PAGES * PAGE_ENTRIES) / 4;
/** Words of the one block that a key's bits are in: a line of the processor's cache. */
const BLOCK_WORDS = 16;
/** Bytes of the key that say which bits are its own: not the first ones, which are alike within a page. */
const BITS_AT = 8;

/**
 * Bloom filters for the pages of a large segment, each of which stays a read of 4 KiB otherwise: an insert asks every segment for keys
 * that hardly any of them has. Four bits for each key; of a hundred keys that are not there, some three are looked for in vain. Each is
 * made when its part of the segment was read in vain often enough, so that who only looks for what is there pays nothing.
 */
export class KeyFilters {
  readonly #filters: (Uint32Array | undefined)[] = [];
  readonly #vain: Uint8Array;
  #made = 0;

  constructor(pages: number) {
    this.#vain = new Uint8Array(Math.ceil(pages / FILTERED_PAGES));
  }

  /** True when the page does not have the key, for sure. */
  exclude(page: number, keys: Uint8Array, at: number): boolean {
    const filter = this.#filters[Math.floor(page / FILTERED_PAGES)];
    if (filter === undefined) return false;
    const high = getU32(keys, at + BITS_AT);
    const low = getU32(keys, at + BITS_AT + 4);
    const block = blockOf(high);
    return !(
      isSet(filter, block, high >>> 8) &&
      isSet(filter, block, high >>> 17) &&
      isSet(filter, block, low) &&
      isSet(filter, block, low >>> 9)
    );
  }

  /** Notes that a page was read in vain; true when a filter should be {@link make made} for it and those around it. */
  readInVain(page: number): boolean {
    const part = Math.floor(page / FILTERED_PAGES);
    const count = this.#vain[part] as number;
    if (count < VAIN_READS) this.#vain[part] = count + 1;
    return count === VAIN_READS - 1 && this.#made < FILTERS_MAX;
  }

  /** Makes the filter of the part that begins with this page, of all records in it. */
  make(firstPage: number, bytes: Uint8Array, count: number): void {
    const filter = new Uint32Array(WORDS);
    for (let i = 0; i < count; i++) {
      const high = getU32(bytes, i * ENTRY_SIZE + BITS_AT);
      const low = getU32(bytes, i * ENTRY_SIZE + BITS_AT + 4);
      const block = blockOf(high);
      set(filter, block, high >>> 8);
      set(filter, block, high >>> 17);
      set(filter, block, low);
      set(filter, block, low >>> 9);
    }
    this.#filters[Math.floor(firstPage / FILTERED_PAGES)] = filter;
    this.#made++;
  }
}

/** The first word of a key's block. */
function blockOf(high: number): number {
  return (high % (WORDS / BLOCK_WORDS)) * BLOCK_WORDS;
}

/** `bit`: its lowest nine bits count. */
function isSet(filter: Uint32Array, block: number, bit: number): boolean {
  return (((filter[block + ((bit >>> 5) & (BLOCK_WORDS - 1))] as number) >>> (bit & 31)) & 1) !== 0;
}

function set(filter: Uint32Array, block: number, bit: number): void {
  const word = block + ((bit >>> 5) & (BLOCK_WORDS - 1));
  filter[word] = (filter[word] as number) | (1 << (bit & 31));
}
