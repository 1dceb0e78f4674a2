import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { compareFiles, isSame, storeFiles } from "../../scripts/demo/round-trip.ts";
import { collectTree } from "../../scripts/demo/tree.ts";
import { Container } from "../../src/index.ts";

const demo = join(import.meta.dirname, "../../scripts/demo.ts");
const LARGE = 3_000_000;

let folder: string;
let tree: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tsdos-demo-test-"));
  tree = join(folder, "tree");
  mkdirSync(join(tree, "below/deeper"), { recursive: true });
  mkdirSync(join(folder, "temporary"));
  writeFileSync(join(tree, "empty"), "");
  writeFileSync(join(tree, "one"), "the same text");
  writeFileSync(join(tree, "below/two"), "the same text");
  writeFileSync(join(tree, "below/deeper/large"), Buffer.alloc(LARGE, "0123456789"));
  symlinkSync("one", join(tree, "link"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function runDemo(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, TMPDIR: join(folder, "temporary") };
  return spawnSync(process.execPath, [demo, ...args], { encoding: "utf8", env, timeout: 60_000 });
}

test("the demo stores, packs and compares a tree, and leaves nothing behind", () => {
  const { status, stdout, stderr } = runDemo(tree);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^Storing 4 files \(3\.0 MB\) of /);
  assert.match(stdout, /1 symbolic links, 0 special files, 0 unreadable/);
  assert.match(stdout, /objects +3\n +duplicates +1\n/);
  assert.match(stdout, /All 4 files came back byte for byte\.\n$/);
  assert.deepEqual(readdirSync(join(folder, "temporary")), []);
});

test("the demo keeps the container where it is told to", async () => {
  const kept = join(folder, "kept");
  const { status, stderr } = runDemo(tree, "--keep", kept);
  assert.equal(status, 0, stderr);
  await using container = await Container.open(kept);
  assert.equal((await container.status()).packed.objects, 3);
});

test("the demo says what is wrong with a missing folder", () => {
  const { status, stdout, stderr } = runDemo(join(folder, "absent"));
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /ENOENT.*absent/);
});

test("a tree of several roots stops when it has enough files, and never goes beyond its limit", () => {
  assert.deepEqual(collectTree([join(tree, "below"), tree], 2, 10).roots, [join(tree, "below")]);
  assert.equal(collectTree([join(tree, "below"), tree], 3, 10).files.length, 6);
  assert.equal(collectTree([tree], 1, 3).files.length, 3);
});

test("a file that vanished before it was stored is left out and named", async () => {
  const { files } = collectTree([tree], Infinity, Infinity);
  rmSync(join(tree, "one"));
  await using container = await Container.create(join(folder, "container"));
  const stored = await storeFiles(container, files);
  assert.deepEqual(
    stored.unreadable.map((file) => file.path),
    [join(tree, "one")],
  );
  assert.equal(stored.files, 3);
  assert.equal((await compareFiles(container, stored)).same, 3);
});

test("files that changed or vanished after they were stored are told from objects that differ", async () => {
  const { files } = collectTree([tree], Infinity, Infinity);
  await using container = await Container.create(join(folder, "container"));
  const stored = await storeFiles(container, files);
  writeFileSync(join(tree, "one"), "another text");
  rmSync(join(tree, "empty"));
  const compared = await compareFiles(container, stored);
  assert.equal(compared.same, 2);
  assert.deepEqual(compared.changed.map((file) => file.path).sort(), [join(tree, "empty"), join(tree, "one")]);

  const unchanged = collectTree([tree], Infinity, Infinity).files;
  const swapped = [...stored.filesByKey.keys()].map((key) => [key, unchanged] as const);
  const wrong = await compareFiles(container, { ...stored, filesByKey: new Map(swapped) });
  assert.ok(wrong.different.length > 0);
});

test("a comparison sees one changed byte, a missing end and bytes too many", async () => {
  await using container = await Container.create(join(folder, "container"));
  const content = Buffer.alloc(LARGE, "0123456789");
  const { key } = await container.insert(content);
  const object = await container.extract(key);
  assert.ok(object);
  const path = join(folder, "source");
  const tells = async (bytes: Uint8Array) => {
    writeFileSync(path, bytes);
    return await isSame(object, path);
  };
  assert.equal(await tells(content), true);
  assert.equal(await tells(content.with(LARGE - 1, 0)), false);
  assert.equal(await tells(content.subarray(0, LARGE - 1)), false);
  assert.equal(await tells(Buffer.concat([content, Buffer.from("x")])), false);
});
