/** Contents for tests, the same in every run. */

function* numbers(seed: number): Generator<number> {
  let state = Math.imul(seed, 2_654_435_761) || 1;
  for (;;) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

/** Bytes that no codec makes smaller. */
export function noise(size: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4));
  const source = numbers(seed);
  for (let i = 0; i < words.length; i++) words[i] = source.next().value as number;
  return new Uint8Array(words.buffer, 0, size);
}

const WORDS = "the store keeps each object under the hash of its bytes and never under any other name ".split(" ");

/** Text, without NUL bytes, that every codec makes smaller. */
export function prose(size: number, seed = 1): Uint8Array {
  const bytes = Buffer.alloc(size);
  const source = numbers(seed);
  for (let at = 0; at < size; ) {
    const number = source.next().value as number;
    const word = number % 7 === 0 ? `${number}` : (WORDS[number % WORDS.length] as string);
    at += bytes.write(`${word} `, at, "latin1");
  }
  return new Uint8Array(bytes);
}

/** `count` different small contents, from none to about 2,000 bytes. */
export function* smallContents(count: number, seed = 1): Generator<Uint8Array> {
  const source = numbers(seed);
  for (let i = 0; i < count; i++) {
    const size = (source.next().value as number) % 2000;
    const body = i % 3 === 0 ? noise(size, seed + i) : prose(size, seed + i);
    yield Buffer.concat([Buffer.from(`${seed}/${i}\n`), body]);
  }
}
