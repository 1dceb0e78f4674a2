import { type CipherGCM, createCipheriv, hash } from "node:crypto";
import { pageMemory } from "./copy-memory.ts";
import { madeOfNative, type Native, type NativeFunction, type NumberFunction } from "./native.ts";

/** Bytes of a SHA-256. */
const HASH_SIZE = 32;
/** OpenSSL, EVP_MAX_MD_SIZE: bytes of the longest hash, should this be another one. */
const HASH_SIZE_MAX = 64;
/** Bytes of the tag of a GMAC. */
const TAG_SIZE = 16;
/** Of a GMAC: a checksum, not a secret. */
const KEY: Uint8Array = new Uint8Array(16);
const NONCE: Uint8Array = new Uint8Array(12);
// OpenSSL, include/openssl/evp.h
const EVP_CTRL_AEAD_GET_TAG = 0x10;
/** Bytes that both have to find the same of as the runtime does: more than one block of either. */
const SAMPLE_SIZE = 1000;
/** Where in memory, behind the sample, OpenSSL writes what nobody needs. */
const UNUSED_AT = 1024;

/** Hashing in the threads of the runtime, by the OpenSSL that the runtime contains. What is hashed must not move: see `Native.addressOf`. */
export interface OpenSsl {
  sha256(): Sha256;
  /** The tag of the bytes, with a key and a nonce of zeros. */
  gmac(bytes: Uint8Array): Promise<Uint8Array>;
}

/** Undefined where it cannot be had: see `madeOfNative`; and some runtimes do not show theirs. */
export const openssl: () => OpenSsl | undefined = madeOfNative((calls): OpenSsl | undefined => {
  const memory = pageMemory(2 * UNUSED_AT);
  if (memory === undefined) return undefined;
  const sample = Buffer.from(memory, 0, SAMPLE_SIZE).fill("any bytes ");
  const hashes = new Sha256Calls(calls);
  const gmacs = new Gmacs(calls, new Uint8Array(memory, UNUSED_AT));
  // Functions of these names that do something else are not asked again.
  const isRight = isSame(new Sha256(hashes), sample) && gmacs.isSame(sample);
  return isRight ? { sha256: () => new Sha256(hashes), gmac: (bytes) => gmacs.of(bytes) } : undefined;
});

/** A GMAC by the runtime's own functions, which `setAAD` gives bytes to, with a key and a nonce of zeros; ended by {@link tagOf}. */
export function createGmac(): CipherGCM {
  return createCipheriv("aes-128-gcm", KEY, NONCE);
}

export function tagOf(gmac: CipherGCM): Buffer {
  gmac.final();
  return gmac.getAuthTag();
}

/** All functions that are used here answer 1 when they have done it. */
function expectDone(result: number): void {
  if (result !== 1) throw new Error("OpenSSL failed to compute a hash, or a GMAC");
}

/** Whether it finds the hash that the runtime finds. */
function isSame(found: Sha256, bytes: Uint8Array): boolean {
  found.updateNow(bytes);
  return hash("sha256", bytes, "buffer").equals(found.digest());
}

class Sha256Calls {
  readonly native: Native;
  readonly type: number;
  readonly create: NumberFunction;
  readonly free: NumberFunction;
  readonly init: NumberFunction;
  readonly update: NumberFunction;
  readonly final: NativeFunction<(context: number, into: Uint8Array, size: number) => number>;

  constructor(calls: Native) {
    this.native = calls;
    this.type = (calls.func("int64_t EVP_sha256()") as NumberFunction)();
    this.create = calls.func("int64_t EVP_MD_CTX_new()");
    this.free = calls.func("void EVP_MD_CTX_free(int64_t)");
    this.init = calls.func("int EVP_DigestInit_ex(int64_t, int64_t, int64_t)");
    this.update = calls.func("int EVP_DigestUpdate(int64_t, int64_t, size_t)");
    this.final = calls.func("int EVP_DigestFinal_ex(int64_t, _Out_ uint8_t *, int64_t)");
  }
}

/** A hash that is computed piece by piece. Ended by `digest`, or by `free`. */
export class Sha256 {
  readonly #calls: Sha256Calls;
  readonly #context: number;

  constructor(calls: Sha256Calls) {
    this.#calls = calls;
    this.#context = calls.create();
    expectDone(calls.init(this.#context, calls.type, 0));
  }

  /** One after the other: the next piece once the promise is kept. */
  async update(bytes: Uint8Array): Promise<void> {
    const { native: calls, update } = this.#calls;
    expectDone(await calls.beside(update, [bytes], this.#context, calls.addressOf(bytes), bytes.length));
  }

  /** As {@link update}, by the caller. */
  updateNow(bytes: Uint8Array): void {
    const { native: calls, update } = this.#calls;
    expectDone(update(this.#context, calls.addressOf(bytes), bytes.length));
  }

  digest(): Uint8Array {
    const into = new Uint8Array(HASH_SIZE_MAX);
    expectDone(this.#calls.final(this.#context, into, 0));
    this.free();
    return into.subarray(0, HASH_SIZE);
  }

  /** Not while an update is under way. */
  free(): void {
    this.#calls.free(this.#context);
  }
}

class Gmacs {
  readonly #native: Native;
  readonly #create: NumberFunction;
  readonly #init: NativeFunction<
    (context: number, type: number, engine: number, key: Uint8Array, nonce: Uint8Array) => number
  >;
  readonly #update: NumberFunction;
  readonly #final: NumberFunction;
  readonly #control: NativeFunction<(context: number, what: number, size: number, into: Uint8Array) => number>;
  readonly #type: number;
  /** For numbers that OpenSSL gives and nobody needs. */
  readonly #unusedMemory: Uint8Array;
  readonly #unused: number;
  /** Contexts that are used again. */
  readonly #free: number[] = [];

  constructor(calls: Native, memory: Uint8Array) {
    this.#native = calls;
    this.#unusedMemory = memory;
    this.#unused = calls.addressOf(memory);
    this.#type = (calls.func("int64_t EVP_aes_128_gcm()") as NumberFunction)();
    this.#create = calls.func("int64_t EVP_CIPHER_CTX_new()");
    this.#init = calls.func("int EVP_EncryptInit_ex(int64_t, int64_t, int64_t, const uint8_t *, const uint8_t *)");
    this.#update = calls.func("int EVP_EncryptUpdate(int64_t, int64_t, int64_t, int64_t, int)");
    this.#final = calls.func("int EVP_EncryptFinal_ex(int64_t, int64_t, int64_t)");
    this.#control = calls.func("int EVP_CIPHER_CTX_ctrl(int64_t, int, int, _Out_ uint8_t *)");
  }

  /** Whether it finds the tag that the runtime finds. */
  isSame(bytes: Uint8Array): boolean {
    const context = this.#begin();
    expectDone(this.#update(context, 0, this.#unused, this.#native.addressOf(bytes), bytes.length));
    return tagOf(createGmac().setAAD(bytes)).equals(this.#end(context));
  }

  async of(bytes: Uint8Array): Promise<Uint8Array> {
    const context = this.#begin();
    const at = this.#native.addressOf(bytes);
    const held = [bytes, this.#unusedMemory];
    expectDone(await this.#native.beside(this.#update, held, context, 0, this.#unused, at, bytes.length));
    return this.#end(context);
  }

  #begin(): number {
    const context = this.#free.pop() ?? this.#create();
    expectDone(this.#init(context, this.#type, 0, KEY, NONCE));
    return context;
  }

  #end(context: number): Uint8Array {
    expectDone(this.#final(context, this.#unused, this.#unused));
    const tag = new Uint8Array(TAG_SIZE);
    expectDone(this.#control(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag));
    this.#free.push(context);
    return tag;
  }
}
