import { release } from "../release.ts";
import { type Compressing, encodeSmall } from "./compressing.ts";

/** Small contents to encode, in memory that threads share. */
export interface EncodeTask {
  readonly memory: SharedArrayBuffer;
  /** Where each begins and ends, in bytes. */
  readonly places: Int32Array;
}

/** What became of them. */
export interface EncodeAnswer {
  /** Bytes of each that was encoded, or {@link AS_IT_IS}. */
  readonly sizes: Int32Array;
  /** The encoded ones, one behind the other. */
  readonly bytes: Uint8Array;
}

/** The size of content that is stored as it is. */
export const AS_IT_IS: number = -1;

export function runEncodeTask({ memory, places }: EncodeTask, compressing: Compressing): EncodeAnswer {
  const shared = Buffer.from(memory);
  const sizes = new Int32Array(places.length / 2);
  const encoded: Uint8Array[] = [];
  for (let i = 0; i < sizes.length; i++) {
    const one = encodeSmall(shared.subarray(places[i * 2], places[i * 2 + 1]), compressing);
    sizes[i] = one?.length ?? AS_IT_IS;
    if (one !== undefined) encoded.push(one);
  }
  const bytes = new Uint8Array(encoded.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of encoded) {
    bytes.set(one, at);
    at += one.length;
    release(one);
  }
  return { sizes, bytes };
}
