// Stores bytes, a stream and a file, and reads them back. In an empty folder: node PATH/TO/store-and-read.ts
// In a clone, "tsdos" is what `npm run build` has made.
import { writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import { Container, fromFile } from "tsdos";

await using container = await Container.create("container");

// The key is the SHA-256 of the content. When `insert` resolves, the object survives a power cut.
const hello = await container.insert(Buffer.from("hello, world\n"));
console.log("stored", hello.key, hello.rawSize, "bytes");

// The same content again: nothing is written.
const again = await container.insert(Readable.from([Buffer.from("hello, "), Buffer.from("world\n")]));
console.log("same key:", again.key === hello.key, "- new:", again.inserted);

// A file, this time into a pack.
writeFileSync("notes.txt", "a line of notes\n".repeat(1000));
const notes = await container.insert(fromFile("notes.txt"), { to: "packed" });
const stat = await container.stat(notes.key);
console.log("packed:", stat?.rawSize, "bytes,", stat?.codec, stat !== undefined && stat.storedSize < stat.rawSize);

// Nothing is read before it is asked for.
const object = await container.extract(hello.key);
console.log("read back:", await object?.text());

// Missing is `undefined`, never an error.
const missing = await container.extract("0".repeat(64));
console.log("missing:", missing);

for await (const key of container.keys()) console.log("key", key);

console.log("deleted", (await container.delete([notes.key])).length);
console.log("has it:", await container.has(notes.key));
