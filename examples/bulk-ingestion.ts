// Stores what is in gzip files, unpacked on the way: node PATH/TO/bulk-ingestion.ts FILE.gz...
// Any number of sources of any size: a few are in memory at a time. Ctrl-C stops it; what was printed is stored.
// In a clone, "tsdos" is what `npm run build` has made.
import { createReadStream } from "node:fs";
import { pipeline, type Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Container, isTsdosError } from "tsdos";

const files = process.argv.slice(2);
const interruption = new AbortController();
process.once("SIGINT", () => interruption.abort());

/** One stream for each file, opened when its turn comes. */
function* sources(): Generator<Readable> {
  for (const file of files) yield pipeline(createReadStream(file), createGunzip(), () => undefined);
}

await using container = await openOrCreate("container");

const results = container.insertMany(sources(), {
  to: "packed",
  signal: interruption.signal,
  // A file that is missing or damaged does not stop the others. Nothing of it is stored.
  onSourceError: (_error, index) => console.log(`left out ${files[index]}`),
  onProgress: ({ objects, bytes }) => console.error(`${objects} objects, ${bytes} bytes`),
});
// A result is given out once its object is durable. Packed objects are committed together, so many come at once.
for await (const { key, rawSize, inserted, index } of results) {
  console.log(`${files[index]} ${rawSize} bytes ${inserted ? "new" : "known"} ${key}`);
}

async function openOrCreate(path: string): Promise<Container> {
  try {
    return await Container.open(path);
  } catch (error) {
    if (!isTsdosError(error, "NOT_A_CONTAINER")) throw error;
    return Container.create(path);
  }
}
