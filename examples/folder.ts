// Stores every file of a folder, and puts them back somewhere else: node PATH/TO/folder.ts FROM TO
// Modes and links are not kept here; `tsdos add -r --manifest` and `tsdos restore` do that.
// In a clone, "tsdos" is what `npm run build` has made.
import { mkdirSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Container, fromFile, type ObjectKey } from "tsdos";

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) throw new Error("usage: node folder.ts FROM TO");

await using container = await Container.create("container");

// A container knows no names: which file has which key is for the caller to remember.
const entries = readdirSync(from, { recursive: true, withFileTypes: true });
const paths = entries
  .filter((entry) => entry.isFile())
  .map((entry) => relative(from, join(entry.parentPath, entry.name)));
const pathsByKey = new Map<ObjectKey, string[]>();
const sources = paths.map((path) => fromFile(join(from, path)));
for await (const { key, index } of container.insertMany(sources, { to: "packed" })) {
  const path = paths[index] as string;
  pathsByKey.set(key, [...(pathsByKey.get(key) ?? []), path]);
}
console.log(`stored ${paths.length} files as ${pathsByKey.size} objects`);

// Results come in the order that is fastest to read, so each says which key it answers.
let restored = 0;
for await (const { key, object } of container.extractMany(pathsByKey.keys(), { verify: "hash" })) {
  if (object === undefined) throw new Error(`object ${key} is gone`);
  for (const path of pathsByKey.get(key) ?? []) {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    await object.toFile(join(to, path));
    restored++;
  }
}
console.log(`restored ${restored} files`);
