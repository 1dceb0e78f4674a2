import { createCipheriv, hash } from "node:crypto";
import { pageMemory } from "./copy-memory.ts";
import { type Native, type NativeFunction, type NumberFunction, native } from "./native.ts";

/** Bytes of a SHA-256. */
const HASH_SIZE = 32;
/** OpenSSL, EVP_MAX_MD_SIZE: bytes of the longest hash, should this be another one. */
const HASH_SIZE_MAX = 64;
/** Bytes of the tag of a GMAC. */
const TAG_SIZE = 16;
/** Bytes of the key and of the nonce of a GMAC, all of them 0. */
const KEY_SIZE = 16;
const NONCE_SIZE = 12;
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

let known: { readonly openssl: OpenSsl | undefined } | undefined;

/** Undefined where it cannot be had: see `native`; and some runtimes do not show theirs. */
export function openssl(): OpenSsl | undefined {
  known ??= { openssl: load() };
  return known.openssl;
}

function load(): OpenSsl | undefined {
  const calls = native();
  const memory = pageMemory(2 * UNUSED_AT);
  if (calls === undefined || memory === undefined) return undefined;
  try {
    const sample = Buffer.from(memory, 0, SAMPLE_SIZE).fill("any bytes ");
    const hashes = new Sha256Calls(calls);
    const gmacs = new Gmacs(calls, new Uint8Array(memory, UNUSED_AT));
    // Functions of these names that do something else are not asked again.
    const isRight = isSame(new Sha256(hashes), sample) && gmacs.isSame(sample);
    return isRight ? { sha256: () => new Sha256(hashes), gmac: (bytes) => gmacs.of(bytes) } : undefined;
  } catch {
    return undefined;
  }
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
    if (calls.init(this.#context, calls.type, 0) !== 1) throw new Error("OpenSSL cannot begin a SHA-256");
  }

  /** One after the other: the next piece once the promise is kept. */
  async update(bytes: Uint8Array): Promise<void> {
    const { native: calls, update } = this.#calls;
    this.#expect(await calls.beside(update, [bytes], this.#context, calls.addressOf(bytes), bytes.length));
  }

  /** As {@link update}, by the caller. */
  updateNow(bytes: Uint8Array): void {
    const { native: calls, update } = this.#calls;
    this.#expect(update(this.#context, calls.addressOf(bytes), bytes.length));
  }

  #expect(result: number): void {
    if (result !== 1) throw new Error("OpenSSL failed to compute a SHA-256");
  }

  digest(): Uint8Array {
    const into = new Uint8Array(HASH_SIZE_MAX);
    this.#expect(this.#calls.final(this.#context, into, 0));
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
    this.#expect(this.#update(context, 0, this.#unused, this.#native.addressOf(bytes), bytes.length));
    const cipher = createCipheriv("aes-128-gcm", new Uint8Array(KEY_SIZE), new Uint8Array(NONCE_SIZE));
    cipher.setAAD(bytes).final();
    return cipher.getAuthTag().equals(this.#end(context));
  }

  async of(bytes: Uint8Array): Promise<Uint8Array> {
    const context = this.#begin();
    const at = this.#native.addressOf(bytes);
    const held = [bytes, this.#unusedMemory];
    this.#expect(await this.#native.beside(this.#update, held, context, 0, this.#unused, at, bytes.length));
    return this.#end(context);
  }

  #begin(): number {
    const context = this.#free.pop() ?? this.#create();
    const [key, nonce] = [new Uint8Array(KEY_SIZE), new Uint8Array(NONCE_SIZE)];
    this.#expect(this.#init(context, this.#type, 0, key, nonce));
    return context;
  }

  #end(context: number): Uint8Array {
    this.#expect(this.#final(context, this.#unused, this.#unused));
    const tag = new Uint8Array(TAG_SIZE);
    this.#expect(this.#control(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag));
    this.#free.push(context);
    return tag;
  }

  #expect(result: number): void {
    if (result !== 1) throw new Error("OpenSSL failed to compute a GMAC");
  }
}
