// Reads parts of a large object without decoding all of it. In an empty folder: node PATH/TO/slices.ts
// In a clone, "tsdos" is what `npm run build` has made.
import { Container } from "tsdos";

const LINES = 500_000;

/** 11 MB of numbered lines, 22 bytes each. */
async function* lines(): AsyncGenerator<Uint8Array> {
  const many = 10_000;
  for (let first = 0; first < LINES; first += many) {
    const texts = Array.from({ length: many }, (_, i) => `line number ${String(first + i).padStart(9, "0")}\n`);
    yield Buffer.from(texts.join(""));
  }
}

await using container = await Container.create("container");

const { key, rawSize } = await container.insert(lines(), { to: "packed" });
const stat = await container.stat(key);
console.log(rawSize, "bytes, stored as", stat?.codec);

const object = await container.extract(key);
if (object === undefined) throw new Error("the object is gone");

// As Blob.slice counts: from 0, the end not included, a negative number from the end.
console.log("first:", await object.slice(0, 22).text());
console.log("last:", await object.slice(-22).text());

// A slice can be sliced, streamed, and written to a file. Here: the 400,000th line and the two behind it.
const three = object.slice(400_000 * 22).slice(0, 3 * 22);
for await (const chunk of three) process.stdout.write(chunk);
