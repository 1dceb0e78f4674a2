// The scripts in docs/format.md that read a container without tsdos.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { Container, type CreateOptions, fromFile } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";
import { markedBlock, project, readText } from "./support.ts";

const SHELL = "/bin/sh";
/** Above this size content from streams is stored in frames. Bytes. */
const FRAMES_FROM = 4 * 1024 ** 2;

/** For the `skip` option of tests: false, or which tool this machine lacks. */
function without(...tools: string[]): string | false {
  const missing = tools.find((tool) => spawnSync(SHELL, ["-c", `command -v ${tool}`]).status !== 0);
  return missing === undefined ? false : `needs ${missing}`;
}

function text(size: number, seed: string): Buffer {
  return Buffer.alloc(size, `${seed}: some text that is not very surprising\n`);
}

/** Cuts the scripts out of the page. */
class Recipe {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    for (const name of ["read-object.sh", "list-keys.sh"]) {
      writeFileSync(join(folder, name), markedBlock(readText("docs/format.md"), `recipe: ${name}`));
    }
  }

  run(name: string, ...args: string[]): { status: number | null; stdout: Buffer; stderr: string } {
    const options = { cwd: this.#folder, timeout: 60_000, maxBuffer: 64 * 1024 ** 2 };
    const { status, stdout, stderr } = spawnSync(SHELL, [name, ...args], options);
    return { status, stdout, stderr: stderr.toString() };
  }

  assertReads(container: string, key: string, size: number): void {
    const { status, stdout, stderr } = this.run("read-object.sh", container, key);
    assert.equal(status, 0, `${key}: ${stderr}`);
    assert.equal(stdout.length, size);
    assert.equal(keyOf(stdout), key);
  }

  list(container: string): string[] {
    const { status, stdout, stderr } = this.run("list-keys.sh", container);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, "");
    return stdout.toString().split("\n").slice(0, -1);
  }
}

/** Fills a container, half of it packed, and reads it with the scripts. Returns the codecs that were met. */
async function readBack(options: CreateOptions, packsFolder?: string): Promise<Set<string>> {
  const folder = temporaryFolder();
  const path = join(folder, "container");
  const codecs = new Set<string>();
  const contents = [Buffer.alloc(0), text(10, "tiny"), text(5_000, "text"), noise(20_000), text(70_000, "longer")];
  const expected = new Map<string, number>();
  let deleted: string;
  {
    await using container = await Container.create(path, options);
    const large = join(folder, "large");
    writeFileSync(large, Buffer.concat([text(FRAMES_FROM, "large"), noise(FRAMES_FROM / 4)]));
    const packed = [...contents, fromFile(large), Readable.from([text(100_000, "deleted")], { objectMode: false })];
    const results = await Array.fromAsync(container.insertMany(packed, { to: "packed" }));
    deleted = results.pop()?.key ?? "";
    assert.deepEqual(await container.delete([deleted]), [deleted]);
    const loose = [text(7, "loose"), text(3_000, "loose")];
    results.push(...(await Array.fromAsync(container.insertMany(loose))));
    for (const { key, rawSize } of results) {
      expected.set(key, rawSize);
      codecs.add((await container.stat(key))?.codec ?? "");
    }
  }
  if (packsFolder !== undefined) renameSync(join(path, "packed"), join(path, packsFolder));
  const recipe = new Recipe(folder);
  for (const [key, size] of expected) recipe.assertReads(path, key, size);
  assert.deepEqual(recipe.list(path), [...expected.keys()].sort());
  const unknown = recipe.run("read-object.sh", path, "0".repeat(64));
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /no intact object 0000/);
  return codecs;
}

test("the recipe reads version 2: stored as it is", async () => {
  const codecs = await readBack({ compression: "none", loosePrefixLen: 0 });
  assert.deepEqual(codecs, new Set(["none"]));
});

test("the recipe reads version 2: zlib", { skip: without("gzip") }, async () => {
  const codecs = await readBack({ compression: "zlib:+6", loosePrefixLen: 4 });
  assert.deepEqual(codecs, new Set(["none", "zlib"]));
});

test("the recipe reads version 2: zstd and zstd frames, in several packs", { skip: without("zstd") }, async () => {
  const codecs = await readBack({ compression: "zstd:+3", packSizeTarget: 10_000 });
  assert.deepEqual(codecs, new Set(["none", "zstd", "zstd-frames"]));
});

test("the recipe reads version 1, made by tsdos", { skip: without("sqlite3", "gzip") }, async () => {
  const codecs = await readBack({ formatVersion: 1, packSizeTarget: 10_000 });
  assert.deepEqual(codecs, new Set(["none", "zlib"]));
});

test("the recipe reads version 2: a folder of packs that is called packs", async () => {
  await readBack({ compression: "none" }, "packs");
});

test("the recipe does not give out damaged bytes", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "container");
  await using container = await Container.create(path, { compression: "none" });
  const { key } = await container.insert(text(5_000, "text"), { to: "packed" });
  const pack = join(path, "packed/0.pack");
  const bytes = readFileSync(pack);
  bytes[1_000] = 0;
  writeFileSync(pack, bytes);
  const { status, stdout } = new Recipe(folder).run("read-object.sh", path, key);
  assert.equal(status, 1);
  assert.equal(stdout.length, 0);
});

for (const fixture of ["dos-basic", "dos-prefix3", "dos-repack-c", "rsdos-zlib", "rsdos-zstd", "rsdos-bytes-zstd"]) {
  test(`the recipe reads version 1, made by the originals: ${fixture}`, {
    skip: without("sqlite3", "gzip", "zstd"),
  }, () => {
    const folder = temporaryFolder();
    const path = join(folder, "container");
    cpSync(join(project, "test/fixtures", fixture), path, { recursive: true });
    mkdirSync(join(path, "loose"), { recursive: true });
    const { sizes } = JSON.parse(readText(`test/fixtures/${fixture}.json`)) as { sizes: Record<string, number> };
    const recipe = new Recipe(folder);
    for (const [key, size] of Object.entries(sizes)) recipe.assertReads(path, key, size);
    assert.deepEqual(recipe.list(path), Object.keys(sizes).sort());
  });
}
