import { compressedFormat } from "../format/magic.ts";
import { zstdCodec } from "./codec.ts";

/** Objects below this many bytes fit a network packet anyway and gain little; the value is that of rsdos. */
const COMPRESS_MIN_SIZE = 850;
/** NUL bytes in the first so many bytes mean "maybe binary". */
const BINARY_PREFIX = 512;
/** Samples are compressed when content may be binary. */
const SAMPLE_SIZE = 4096;
const SAMPLES = 3;
/** Worth it when the samples shrink to less than this part, as in disk-objectstore. */
const WORTH_RATIO = 0.9;
/** Fast, and a good predictor of whether there is anything to gain. */
const SAMPLE_LEVEL = 1;

/**
 * Whether content looks worth compressing. `bytes` is the content, or the first part of one of `rawSize` bytes.
 * The flow: small - no; compressed already by its first bytes - no, unless `recompress`; NUL bytes in front - by samples;
 * otherwise, and when anything in the estimate fails - yes.
 */
export function worthCompressing(bytes: Uint8Array, rawSize: number, recompress: boolean): boolean {
  if (rawSize < COMPRESS_MIN_SIZE) return false;
  if (compressedFormat(bytes) !== undefined) return recompress;
  if (!bytes.subarray(0, BINARY_PREFIX).includes(0)) return true;
  try {
    return samplesShrink(bytes);
  } catch {
    return true;
  }
}

function samplesShrink(bytes: Uint8Array): boolean {
  if (bytes.length <= SAMPLE_SIZE * SAMPLES) return shrinks(bytes);
  const step = Math.floor((bytes.length - SAMPLE_SIZE) / (SAMPLES - 1));
  const samples = Array.from({ length: SAMPLES }, (_, i) => bytes.subarray(i * step, i * step + SAMPLE_SIZE));
  return shrinks(Buffer.concat(samples));
}

function shrinks(sample: Uint8Array): boolean {
  return zstdCodec.compress(sample, SAMPLE_LEVEL).length < sample.length * WORTH_RATIO;
}
