/** Contents for tests, the same in every run. */

/** Bytes of an object that is read and written in pieces, and of more than one frame. */
export const LARGE: number = 4 * 1024 ** 2 + 12_345;

/** A generator of 32-bit numbers (xorshift). */
export function numbers(seed: number): () => number {
  let state = Math.imul(seed + 1, 2_654_435_761) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Bytes that no codec makes smaller. */
export function noise(size: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4));
  const next = numbers(seed);
  for (let i = 0; i < words.length; i++) words[i] = next();
  return new Uint8Array(words.buffer, 0, size);
}

const WORDS = "the store keeps each object under the hash of its bytes and never under any other name ".split(" ");
/** Longer text repeats itself, each time with another number. */
const PARAGRAPH = 32 * 1024;

/** Text, without NUL bytes, that every codec makes smaller. */
export function prose(size: number, seed = 1): Uint8Array {
  const bytes = Buffer.alloc(size);
  const next = numbers(seed);
  const length = Math.min(size, PARAGRAPH);
  let text = "";
  while (text.length < length) {
    const number = next();
    text += `${number % 7 === 0 ? number : WORDS[number % WORDS.length]} `;
  }
  bytes.write(text, 0, length, "latin1");
  for (let at = PARAGRAPH; at < size; at += PARAGRAPH) {
    bytes.copyWithin(at, 0, Math.min(PARAGRAPH, size - at));
    bytes.write(`${next()} `, at, "latin1");
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, size);
}

/** `count` different contents of a few bytes, for what depends on how many there are and not on what they are. */
export function tinyContents(count: number, seed = 1): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => Buffer.from(`${seed}/${i}`));
}

/** `count` different small contents, up to about 2,000 bytes. */
export function* smallContents(count: number, seed = 1): Generator<Uint8Array> {
  const next = numbers(seed);
  for (let i = 0; i < count; i++) {
    const size = next() % 2000;
    const body = i % 3 === 0 ? noise(size, next()) : prose(size, next());
    yield Buffer.concat([Buffer.from(`${seed}/${i}\n`), body]);
  }
}
