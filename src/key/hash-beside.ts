import { openssl, type Sha256 } from "../openssl.ts";
import { release } from "../release.ts";
import type { AsyncKeyHasher } from "./hash.ts";
import type { ObjectKey } from "./object-key.ts";

/**
 * Bytes that are hashed by the first call, so that the thread has something to do at once; each next one is given so many more. Memory
 * that was not touched before takes as long to fill as to hash: twice as many each time would keep the thread waiting.
 */
const STEP_SIZE: number = 1024 ** 2;
/** Bytes that are hashed by one call at most: each costs a tenth of a millisecond until a thread is awake. */
const CALL_SIZE: number = 16 * 1024 ** 2;
/** Calls that content is divided into at least, so that memory stays in proportion to it. */
const CALLS_MIN = 8;

/** Starts hashing content of about `size` bytes in the threads of the runtime; undefined where that cannot be had. */
export function hashBeside(size: number): AsyncKeyHasher | undefined {
  const calls = openssl();
  if (calls === undefined) return undefined;
  const callSize = Math.max(STEP_SIZE, Math.min(CALL_SIZE, Math.ceil(size / CALLS_MIN)));
  // So much does not move.
  const [filling, hashed] = [new Uint8Array(callSize), new Uint8Array(callSize)];
  return new HashBeside(calls.sha256(), filling, hashed);
}

/** Copies chunks to one place while what was copied to the other one is hashed. */
class HashBeside implements AsyncKeyHasher {
  readonly #hash: Sha256;
  #filling: Uint8Array;
  #hashed: Uint8Array;
  #filled = 0;
  /** Bytes that are handed on next. */
  #limit = STEP_SIZE;
  #underWay: Promise<void> | undefined;
  #isEnded = false;

  constructor(hash: Sha256, filling: Uint8Array, hashed: Uint8Array) {
    this.#hash = hash;
    this.#filling = filling;
    this.#hashed = hashed;
  }

  update(chunk: Uint8Array): Promise<void> | undefined {
    this.#refuseEnded();
    if (this.#filled + chunk.length < this.#limit) {
      this.#filling.set(chunk, this.#filled);
      this.#filled += chunk.length;
      return undefined;
    }
    const handedOn = this.#updateAndHandOn(chunk);
    // Whoever fails meanwhile does not hear of it.
    handedOn.catch(() => undefined);
    return handedOn;
  }

  async #updateAndHandOn(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + this.#limit - this.#filled);
      this.#filling.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#limit) await this.#handOn();
    }
  }

  /** Has what was filled hashed, once what was handed on before is. */
  async #handOn(): Promise<void> {
    if (this.#underWay !== undefined) await this.#underWay;
    this.#refuseEnded();
    const bytes = this.#filling.subarray(0, this.#filled);
    [this.#filling, this.#hashed] = [this.#hashed, this.#filling];
    this.#filled = 0;
    this.#limit = Math.min(this.#limit + STEP_SIZE, this.#filling.length);
    const underWay = this.#hash.update(bytes);
    // Whoever waits for it next is told.
    underWay.catch(() => undefined);
    this.#underWay = underWay;
  }

  async key(): Promise<ObjectKey> {
    await this.#handOn();
    await this.#underWay;
    this.#refuseEnded();
    this.#isEnded = true;
    this.#release();
    return Buffer.from(this.#hash.digest()).toString("hex") as ObjectKey;
  }

  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const free = (): void => {
      this.#release();
      this.#hash.free();
    };
    if (this.#underWay === undefined) free();
    else this.#underWay.then(free, free);
  }

  #refuseEnded(): void {
    if (this.#isEnded) throw new Error("the hasher was closed");
  }

  #release(): void {
    release(this.#filling);
    release(this.#hashed);
  }
}
