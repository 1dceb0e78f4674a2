import { numbers } from "../../src/testing/contents.ts";
import type { Next } from "../support/random.ts";
import { Allocations } from "./allocations.ts";
import { mutated } from "./mutate.ts";
import { isCoded, type Target } from "./target.ts";

/** Bytes that a parser may allocate at once besides eight times its input: buffers of a fixed size. */
const FIXED_ALLOCATION = 5 * 1024 ** 2;

export interface Finding {
  readonly target: string;
  readonly seed: number;
  readonly iteration: number;
  readonly input: Uint8Array;
  readonly error: unknown;
}

/** What an iteration does is decided by the seed, the target and its number: any one can be repeated alone. */
function choices(seed: number, target: string, iteration: number): Next {
  const next = numbers(
    Buffer.from(target).reduce((hash, byte) => Math.imul(hash ^ byte, 16_777_619), seed) ^ Math.imul(iteration, 40_503),
  );
  for (let i = 0; i < 8; i++) next();
  return next;
}

/** One case; undefined when it went as it should. */
export async function fuzzOnce(target: Target, seed: number, iteration: number): Promise<Finding | undefined> {
  const next = choices(seed, target.name, iteration);
  const isGenerated = target.generate !== undefined && next() % 8 === 0;
  let input = isGenerated ? (target.generate as (next: Next) => Uint8Array)(next) : mutated(target.samples, next);
  if (!isGenerated && target.reseal !== undefined && next() % 2 === 0) input = target.reseal(input);
  const error = await failureOf(target, input, isGenerated);
  return error === undefined ? undefined : { target: target.name, seed, iteration, input, error };
}

/** What is wrong with how a target takes an input; undefined when nothing is. */
export async function failureOf(target: Target, input: Uint8Array, mustAccept = false): Promise<unknown> {
  using allocations = new Allocations();
  try {
    const accepted = await target.run(input);
    if (mustAccept && accepted === false) return new Error("what was printed is refused");
  } catch (error) {
    if (mustAccept || !isCoded(error)) return error;
  }
  const { largest } = allocations;
  if (largest <= FIXED_ALLOCATION + 8 * input.length) return undefined;
  return new Error(`allocated ${largest} bytes at once for an input of ${input.length}`);
}

/** Runs that shrinking may take. */
const SHRINK_RUNS = 2000;

/** A shorter input that fails, too: pieces are left out as long as that works. */
export async function shrunk(target: Target, { input }: Finding): Promise<Uint8Array> {
  let bytes = input;
  let left = SHRINK_RUNS / (target.cost ?? 1);
  for (let size = Math.ceil(bytes.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < bytes.length && left-- > 0; ) {
      const shorter = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);
      if ((await failureOf(target, shorter)) === undefined) at += size;
      else bytes = shorter;
    }
  }
  return bytes;
}
