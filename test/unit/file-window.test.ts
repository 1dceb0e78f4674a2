import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs, { mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { Container } from "../../src/container/container.ts";
import type { FileWindow } from "../../src/file-system.ts";
import { isLocal, reservableBytes } from "../../src/fs/file-system-kind.ts";
import { libc } from "../../src/fs/libc.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { openssl } from "../../src/openssl.ts";
import { noise } from "../../src/testing/contents.ts";
import { cut, flip, loosePathOf, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

const MIB = 1024 ** 2;
/** Large enough for windows, and not a whole number of pages. */
const SIZE: number = 33 * MIB + 4321;

function fileWith(
  content: Uint8Array,
  folder: string = temporaryFolder(),
): { readonly path: string; readonly file: number } {
  const path = join(folder, "file");
  writeFileSync(path, content);
  return { path, file: openSync(path, "r") };
}

const probe = fileWith(new Uint8Array(1));
const skipWithoutWindows =
  libc() === undefined ? "needs Linux and koffi" : !isLocal(probe.file) && "needs a local disk";
/** Not in memory, as the other files may be. */
const onDisk = fileWith(new Uint8Array(10), mkdtempSync(join(tmpdir(), "tsdos-test-")));
after(() => rmSync(dirname(onDisk.path), { recursive: true }));
const skipWithoutReserving =
  libc() === undefined || reservableBytes(onDisk.file) === undefined ? "needs Linux, koffi, ext4 or xfs" : false;
const skipWithoutCachestat = skipWithoutWindows || (cachestatWorks() ? false : "needs Linux 6.5");

function cachestatWorks(): boolean {
  return libc()?.cachestat(probe.file, BigUint64Array.of(0n, 1n), new BigUint64Array(5)) === 0;
}

describe("a window on a file", { skip: skipWithoutCachestat }, () => {
  const content = noise(9 * MIB + 5, 3);

  function opened(bytes: Uint8Array = content): { readonly path: string; readonly window: FileWindow } {
    const { path, file } = fileWith(bytes);
    return { path, window: new NodeFileSystem().window(file, 4 * MIB, 2) as FileWindow };
  }

  test("shows the bytes at any position, no more than were asked for", () => {
    const { window } = opened();
    for (const start of [0, 1, 4095, 4096, 65_535, 65_536, 4 * MIB - 1, 9 * MIB, content.length - 1]) {
      for (const length of [1, 5000, 5 * MIB]) {
        const end = Math.min(content.length, start + length);
        const shown = window.show(start, end);
        assert.ok(shown !== undefined && shown.length > 0 && shown.length <= end - start, `${start} ${length}`);
        assert.ok(shown.length === end - start || shown.length > 3 * MIB);
        assert.ok(Buffer.from(content.subarray(start, start + shown.length)).equals(shown), `${start} ${length}`);
      }
    }
    window.close();
  });

  test("shows nothing behind the end of the file, also where it was cut within a page", () => {
    const { path, window } = opened();
    assert.equal(window.show(0, content.length + 1)?.length, 4 * MIB);
    assert.equal(window.show(9 * MIB, content.length + 1), undefined);
    assert.equal(window.show(0, Number.POSITIVE_INFINITY)?.length, 4 * MIB);
    assert.equal(window.show(9 * MIB, Number.POSITIVE_INFINITY), undefined);
    truncateSync(path, 9 * MIB + 4);
    assert.equal(window.show(9 * MIB, content.length), undefined);
    assert.equal(window.show(9 * MIB, content.length - 1)?.length, 4);
    window.close();
  });

  test("shows nothing that is not in memory: reading it may fail", () => {
    const { path, window } = opened();
    // What was never written has no place in memory.
    truncateSync(path, 40 * MIB);
    assert.equal(window.show(20 * MIB, 21 * MIB), undefined);
    assert.equal(window.show(content.length - 1, 10 * MIB), undefined);
    assert.equal(window.show(content.length - 5, content.length)?.length, 5);
    window.close();
  });

  test("is private: who writes into what is shown does not change the file, and what was shown can be read after its end", () => {
    const { path, window } = opened();
    const shown = window.show(10, 20) as Uint8Array;
    shown.fill(7);
    assert.ok(readFileSync(path).equals(content));
    assert.ok(Buffer.from(content.subarray(10, 20)).equals(window.show(10, 20) as Uint8Array));
    window.close();
    assert.deepEqual([...shown], new Array(10).fill(0));
  });

  test("of a file that cannot be shown answers that it has to be read", () => {
    const folder = new NodeFileSystem().window(openSync(temporaryFolder(), "r"), MIB, 1);
    assert.equal(folder?.show(0, 1), undefined);
    const closed = openSync(probe.path, "r");
    const window = new NodeFileSystem().window(closed, MIB, 1) as FileWindow;
    fs.closeSync(closed);
    assert.equal(window.show(0, 1), undefined);
  });
});

test("room is set aside without changing the size", { skip: skipWithoutReserving }, () => {
  const files = new NodeFileSystem();
  const file = files.open(onDisk.path, "modify");
  files.reserve(file, 8 * MIB);
  const stat = statSync(onDisk.path);
  assert.equal(stat.size, 10);
  assert.ok(stat.blocks * 512 >= 8 * MIB);
  const message = /cannot set room aside for .*file: no space left for \d+ bytes \(ENOSPC\); free some space/;
  const free = reservableBytes(file) as number;
  assert.throws(() => files.reserve(file, free * 2 + MIB), { code: "NO_SPACE", message });
  // It is not filled up meanwhile.
  assert.equal(statSync(onDisk.path).blocks, stat.blocks);
  // Not a size that a file can have: writing will tell.
  files.reserve(file, -1);
  files.close(file);
});

const content = noise(SIZE, 2);
let template: Promise<{ readonly root: string; readonly key: string }> | undefined;

async function made(): Promise<{ readonly root: string; readonly key: string }> {
  const { root, container } = await newContainer({ compression: "none" });
  // In front of it in the pack, so that it does not begin at a page.
  await container.insert(noise(1234, 1), { to: "packed" });
  const { key } = await container.insert(content, { to: "packed" });
  await container.close();
  return { root, key };
}

/** A container with large content in a pack. */
async function stored(): Promise<{ readonly root: string; readonly key: string }> {
  template ??= made();
  const { root: from, key } = await template;
  const root = join(temporaryFolder(), "copy");
  fs.cpSync(from, root, { recursive: true });
  return { root, key };
}

async function readBack(root: string, key: string): Promise<Buffer[]> {
  await using container = await Container.open(root);
  const object = await container.extract(key);
  const shared: Buffer[] = [];
  for await (const piece of object?.pieces() ?? []) shared.push(Buffer.from(piece));
  const own: Uint8Array[] = [];
  for await (const piece of object ?? []) own.push(piece);
  const target = join(temporaryFolder(), "target");
  await object?.toFile(target);
  const tail: Buffer[] = [];
  for await (const piece of object?.slice(-MIB - 7).pieces() ?? []) tail.push(Buffer.from(piece));
  const pieces = [Buffer.concat(shared), Buffer.concat(own), readFileSync(target), Buffer.concat(tail)];
  return pieces;
}

for (const where of ["loose", "packed"] as const) {
  test(`a large object is read and exported as it is: ${where}`, async () => {
    const { root, key } = await stored();
    if (where === "loose") {
      await using container = await Container.open(root);
      await container.delete([key]);
      await container.insert(content);
    }
    const [shared, own, exported, tail] = await readBack(root, key);
    assert.ok(shared?.equals(content) && own?.equals(content) && exported?.equals(content));
    assert.ok(tail?.equals(content.subarray(-MIB - 7)));
  });
}

test("damage and a cut end of a large packed object are errors, and leave no file", async () => {
  for (const spoil of [
    (pack: string) => flip(pack, 20 * MIB),
    (pack: string) => cut(pack, 1234 + SIZE - 1),
    (pack: string) => cut(pack, 20 * MIB + 1),
  ]) {
    const { root, key } = await stored();
    spoil(join(root, "packed/0.pack"));
    await using container = await Container.open(root);
    const object = await container.extract(key);
    await assert.rejects(async () => {
      for await (const piece of object?.pieces() ?? []) assert.ok(piece.length > 0);
    }, /CORRUPT_OBJECT|damaged/);
    const target = join(temporaryFolder(), "target");
    await assert.rejects(object?.toFile(target) as Promise<void>, { code: "CORRUPT_OBJECT" });
    assert.equal(statSync(target, { throwIfNoEntry: false }), undefined);
  }
});

test("a large loose object whose file is cut is an error", async () => {
  const { root, container } = await newContainer();
  const { key } = await container.insert(content);
  const object = await container.extract(key);
  cut(loosePathOf(root, content), SIZE - 1);
  await assert.rejects(
    async () => {
      for await (const piece of object?.pieces() ?? []) assert.ok(piece.length > 0);
    },
    { code: "CORRUPT_OBJECT" },
  );
  await container.close();
});

/** What a program says that stores and exports, run after `preload`: which functions in C it has. */
function runAfter(preload: string, root: string, key: string, target: string, env = {}): string {
  const url = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url));
  const work = `
    import { Container } from ${url("index.ts")};
    import { libc } from ${url("fs/libc.ts")};
    import { openssl } from ${url("openssl.ts")};
    const container = await Container.open(${JSON.stringify(root)});
    await (await container.extract(${JSON.stringify(key)})).toFile(${JSON.stringify(target)});
    await container.insert(Buffer.alloc(${SIZE}, "more"), { to: "packed" });
    await container.close();
    console.log(libc() === undefined ? "without" : "with", openssl() === undefined ? "without" : "with");`;
  const file = join(temporaryFolder(), "preload.cjs");
  writeFileSync(file, `const Module = require("node:module"); const load = Module._load; ${preload}`);
  const child = spawnSync(process.execPath, ["--require", file, "--input-type=module", "-e", work], {
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
  assert.equal(child.stderr, "");
  return child.stdout;
}

const ALL_MISSING = `Module._load = (name, ...rest) => {
  if (name.includes("koffi")) throw new Error("not installed");
  return load(name, ...rest);
};`;
const MOVED = `Module._load = (name, ...rest) => {
  if (name.startsWith("@koromix/")) throw new Error("not here");
  return load(name, ...rest);
};`;
/** A library whose hash is another one. */
const OTHER_HASH = `Module._load = (name, ...rest) => {
  const koffi = load(name, ...rest);
  if (typeof koffi?.load !== "function" || koffi.isOther) return koffi;
  const loadLibrary = koffi.load;
  koffi.isOther = true;
  koffi.load = (path) => {
    const library = loadLibrary(path);
    return { func: (declaration) => library.func(declaration.replace("EVP_sha256", "EVP_sha512")) };
  };
  return koffi;
};`;

for (const [name, preload, env, expected] of [
  ["is not installed", ALL_MISSING, {}, "without without\n"],
  ["is turned off", "", { TSDOS_NATIVE: "off" }, "without without\n"],
  ["stands elsewhere", MOVED, {}, "with with\n"],
  ["finds another OpenSSL", OTHER_HASH, {}, "with without\n"],
] as const) {
  const skip = expected.startsWith("with ") && openssl() === undefined ? "needs Linux, koffi and OpenSSL" : false;
  test(`all works when the package for functions in C ${name}`, { skip }, async () => {
    const { root, key } = await stored();
    const target = join(temporaryFolder(), "target");
    assert.equal(runAfter(preload, root, key, target, env), expected);
    assert.ok(readFileSync(target).equals(content));
    await using container = await Container.open(root);
    const more = await container.extract(keyOf(Buffer.alloc(SIZE, "more")));
    assert.equal((await more?.bytes())?.length, SIZE);
  });
}
