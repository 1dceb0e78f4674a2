import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs, { readdirSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { type OpenStores, openStores } from "../../src/container/open-stores.ts";
import type { SmallFileReader } from "../../src/file-system.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import type { PackOptions, PackReport } from "../../src/maintenance/reports.ts";
import { SMALL_MAX } from "../../src/store/source.ts";
import { noise, numbers, prose, smallContents } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { SLOT_SIZE, skip } from "../support/small-file-reader.ts";
import { patientSignal, tasksDone } from "../support/threads.ts";

/** Enough for a pack to use rings, of which there have to be 4,096, and for a commit, which has as many, while they are being read. */
const many: readonly Uint8Array[] = [...smallContents(4500, 1)];
/**
 * What looks like it: with keys in the lower half of all, so that the first hundred of them promise twice as many as there are. They
 * are read by some eight calls.
 */
const half: readonly Uint8Array[] = many.filter((bytes) => keyOf(bytes) < "8");
const OBJECTS = half.length;
const large = noise(SMALL_MAX + 1, 2);

interface Loose {
  /** The container's folder. */
  readonly root: string;
  readonly keys: readonly ObjectKey[];
}

const templates = new Map<string, Promise<Loose>>();

interface Kind {
  readonly loosePrefixLen?: number;
  readonly compression?: string;
  readonly small?: readonly Uint8Array[];
}

async function made({ loosePrefixLen = 2, compression = "none", small = half }: Kind): Promise<Loose> {
  const { root, container } = await newContainer({ compression, loosePrefixLen });
  const contents = [...small, noise(SLOT_SIZE + 9, 1), large, new Uint8Array()];
  // Enough for threads by itself, and with a key after which most others come.
  if (compression !== "none") contents.push(prose(SMALL_MAX, 8));
  const keys = await Array.fromAsync(container.insertMany(contents), ({ key }) => key);
  await container.close();
  // So long ago that a later change of a folder is seen for sure.
  for (const name of readdirSync(join(root, "loose"))) utimesSync(join(root, "loose", name), 1e9, 1e9);
  utimesSync(join(root, "loose"), 1e9, 1e9);
  return { root, keys: keys.sort() };
}

/** A container with many loose objects. */
async function loose(kind: Kind = {}): Promise<Loose> {
  const name = JSON.stringify({ ...kind, small: kind.small?.length });
  if (!templates.has(name)) templates.set(name, made(kind));
  const template = (await templates.get(name)) as Loose;
  const root = join(temporaryFolder(), "container");
  linkTree(template.root, root);
  return { root, keys: template.keys };
}

/** A copy, of which the loose files are those of the other: who is to change one removes it before. */
function linkTree(from: string, to: string): void {
  fs.mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) linkTree(source, target);
    else if (from.includes("/loose")) fs.linkSync(source, target);
    else fs.copyFileSync(source, target);
  }
  const { atime, mtime } = fs.statSync(from);
  utimesSync(to, atime, mtime);
}

function pathOf(root: string, key: string, loosePrefixLen = 2): string {
  return join(root, "loose", key.slice(0, loosePrefixLen), key.slice(loosePrefixLen));
}

/** What a test does in the place of a reader's call. */
type Instead = (
  read: () => Promise<(Buffer | undefined)[]>,
  paths: readonly string[],
) => Promise<(Buffer | undefined)[]>;

/** Watches the readers of small files: that nobody uses one wrongly, and that all are closed. */
class WatchedFiles extends NodeFileSystem {
  calls = 0;
  #opened = 0;
  #closed = 0;
  readonly #instead: Instead | undefined;
  readonly #isAbsent: boolean;

  constructor(instead?: Instead, isAbsent = false) {
    super();
    this.#instead = instead;
    this.#isAbsent = isAbsent;
  }

  override smallFileReader(folder: string, sizeMax: number): SmallFileReader | undefined {
    const reader = this.#isAbsent ? undefined : super.smallFileReader(folder, sizeMax);
    if (reader === undefined) return undefined;
    this.#opened++;
    let underWay = 0;
    return {
      width: reader.width,
      read: async (paths) => {
        this.calls++;
        assert.equal(underWay++, 0);
        try {
          const read = (): Promise<(Buffer | undefined)[]> => reader.read(paths);
          return await (this.#instead?.(read, paths) ?? read());
        } finally {
          underWay--;
        }
      },
      close: () => {
        assert.equal(underWay, 0);
        this.#closed++;
        reader.close();
      },
    };
  }

  get areClosed(): boolean {
    return this.#opened > 0 && this.#opened === this.#closed;
  }
}

async function opened(root: string, files: NodeFileSystem): Promise<OpenStores> {
  await using container = await Container.open(root);
  const { config } = container;
  return openStores({ fs: files, root, config, durability: "process", lockTimeoutMs: 0, create: false });
}

/** Packs what is loose. */
async function packed(root: string, files: NodeFileSystem, options: PackOptions = {}): Promise<PackReport> {
  const stores = await opened(root, files);
  try {
    return await packLoose(stores.combined, options);
  } finally {
    stores.close();
  }
}

async function contentsOf(root: string): Promise<string[]> {
  await using container = await Container.open(root);
  const keys: string[] = [];
  for await (const { key, bytes } of container.readMany(container.keys())) {
    assert.ok(bytes !== undefined && keyOf(bytes) === key);
    keys.push(key);
  }
  return keys.sort();
}

describe("pack", { skip }, () => {
  for (const loosePrefixLen of [0, 2, 3]) {
    test(`makes the same packs with a reader of small files and without: prefix of ${loosePrefixLen}`, async () => {
      const kind = { loosePrefixLen, small: loosePrefixLen === 2 ? many : half };
      const [one, other] = [await loose(kind), await loose(kind)];
      const files = new WatchedFiles();
      const report = await packed(one.root, files);
      assert.ok(files.calls >= (kind.small.length - 500) / 256 && files.areClosed, `${files.calls} calls`);
      assert.deepEqual(await packed(other.root, new WatchedFiles(undefined, true)), report);
      assert.equal(report.packedObjects, one.keys.length);
      assert.equal(report.cleanedObjects, one.keys.length);
      const [pack, expected] = [one, other].map(({ root }) => readFileSync(join(root, "packed/0.pack")));
      assert.ok(pack?.equals(expected as Buffer));
      assert.deepEqual(await contentsOf(one.root), one.keys);
    });
  }

  test("makes the same packs with TSDOS_NATIVE=off", async () => {
    const [one, other] = [await loose(), await loose()];
    await packed(one.root, new NodeFileSystem());
    const work = `
      import { Container } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url))};
      import { ringCalls } from ${JSON.stringify(new URL("../../src/fs/ring-calls.ts", import.meta.url))};
      const container = await Container.open(${JSON.stringify(other.root)});
      await container.pack();
      await container.close();
      console.log(ringCalls() === undefined ? "without" : "with");`;
    const env = { ...process.env, TSDOS_NATIVE: "off" };
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", work], { env, encoding: "utf8" });
    assert.equal(child.stdout, "without\n", child.stderr);
    const [pack, expected] = [one, other].map(({ root }) => readFileSync(join(root, "packed/0.pack")));
    assert.ok(pack?.equals(expected as Buffer));
  });

  test("in a thread does so without a warning, and a thread that is ended meanwhile harms nobody", async () => {
    const { root, keys } = await loose();
    const work = `
      import { parentPort } from "node:worker_threads";
      import { Container } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url))};
      const container = await Container.open(${JSON.stringify(root)}, { durability: "process" });
      parentPort.postMessage("begins");
      await container.pack();
      await container.close();`;
    const program = `
      import { Worker } from "node:worker_threads";
      const url = new URL("data:text/javascript," + encodeURIComponent(${JSON.stringify(work)}));
      const ended = (worker) => new Promise((resolve) => worker.on("exit", resolve).on("error", resolve));
      for (const ms of [5, 20, 40]) {
        const worker = new Worker(url);
        worker.once("message", () => setTimeout(() => worker.terminate(), ms));
        await ended(worker);
      }
      console.log(await ended(new Worker(url)));`;
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
    assert.deepEqual([child.stdout, child.stderr], ["0\n", ""]);
    assert.deepEqual(await contentsOf(root), keys);
  });

  test("leaves damaged objects where they are, and packs all others", async () => {
    const { root, keys } = await loose();
    const damaged = [100, 1000, 1500, OBJECTS].map((i) => keys[i] as ObjectKey);
    for (const key of damaged) {
      const path = pathOf(root, key);
      const bytes = readFileSync(path);
      rmSync(path);
      fs.writeFileSync(path, bytes.fill((bytes[0] as number) ^ 0x55, 0, 1));
    }
    const report = await packed(root, new WatchedFiles());
    assert.equal(report.packedObjects, keys.length - damaged.length);
    assert.deepEqual(report.damaged, damaged);
    for (const key of damaged) assert.ok(fs.existsSync(pathOf(root, key)));
  });

  test("passes over what cannot be read, with a reader of small files and without", async () => {
    const spoilt = await loose();
    const [folder, object, link] = [500, 1000, 1500].map((i) => spoilt.keys[i] as ObjectKey);
    for (const { root } of [spoilt, await loose()]) {
      const unlisted = join(root, "loose", (folder as string).slice(0, 2));
      rmSync(unlisted, { recursive: true });
      fs.symlinkSync(unlisted, unlisted);
      for (const key of [object, link]) rmSync(pathOf(root, key as string));
      fs.mkdirSync(pathOf(root, object as string));
      fs.symlinkSync(pathOf(root, link as string), pathOf(root, link as string));
      const files = new WatchedFiles(undefined, root !== spoilt.root);
      const report = await packed(root, files);
      assert.equal(files.calls > 0, root === spoilt.root);
      const told = report.unreadable.map(({ code, path }) => [code, path]);
      const paths = [unlisted, ...[object, link].map((key) => pathOf(root, key as string))];
      assert.deepEqual(told.sort(), paths.map((path) => ["IO_ERROR", path]).sort());
      const others = spoilt.keys.filter((key) => !key.startsWith((folder as string).slice(0, 2)));
      assert.deepEqual([report.packedObjects, report.unreadableCount], [others.length - 2, 3]);
    }
  });

  for (const loosePrefixLen of [0, 2]) {
    test(`nothing comes back that is deleted before or after it is read: prefix of ${loosePrefixLen}`, async () => {
      const { root, keys } = await loose({ loosePrefixLen, small: many });
      const others = await opened(root, new NodeFileSystem());
      const next = numbers(loosePrefixLen);
      const deleted = new Set<string>();
      let isOver = false;
      /** As `delete` does it, unless the object is in a pack already. */
      const deleteOne = (paths: readonly string[]): void => {
        const key = (paths[next() % paths.length] as string).replaceAll(/[./]/g, "") as ObjectKey;
        if (others.combined.packed.find(key) !== undefined) return;
        rmSync(pathOf(root, key, loosePrefixLen), { force: true });
        deleted.add(key);
      };
      const files = new WatchedFiles(async (read, paths) => {
        deleteOne(paths);
        const contents = await read();
        deleteOne(paths);
        // Some have to wait for their turn, through a commit.
        setTimeout(() => !isOver && deleteOne(paths), 0);
        return contents;
      });
      await packed(root, files, { clean: false });
      isOver = true;
      others.close();
      assert.ok(deleted.size > files.calls * 2 && files.areClosed);
      // What is loose still is in the pack, too.
      rmSync(join(root, "loose"), { recursive: true });
      assert.deepEqual(
        await contentsOf(root),
        keys.filter((key) => !deleted.has(key)),
      );
    });
  }

  test("stops when it is told to, waits for what is being read, and goes on the next time", async () => {
    const { root, keys } = await loose();
    const controller = new AbortController();
    const files: WatchedFiles = new WatchedFiles(async (read) => {
      if (files.calls === 3) controller.abort();
      return read();
    });
    await assert.rejects(packed(root, files, { signal: controller.signal }), { name: "AbortError" });
    assert.ok(files.areClosed);
    assert.ok(files.calls < 7);
    await packed(root, new WatchedFiles());
    assert.deepEqual(await contentsOf(root), keys);
  });

  for (const [title, instead, callsMax] of [
    ["fails at once", () => Promise.reject(new Error("of the ring")), 3],
    ["answers nothing", async (_, paths) => paths.map(() => undefined), 3],
    [
      "fails later",
      (read, paths) => ((paths[0] as string) > "./40" ? Promise.reject(new Error("of the ring")) : read()),
      OBJECTS,
    ],
    ["answers little", async (read) => (await read()).map((content, i) => (i % 3 === 0 ? content : undefined)), 3],
    ["gives wrong bytes", async (read) => (await read()).map((content) => content?.fill(7)), OBJECTS],
    ["gives fewer bytes", async (read) => (await read()).map((content) => content?.subarray(0, -1)), OBJECTS],
  ] as const satisfies readonly (readonly [string, Instead, number])[]) {
    test(`packs everything with a reader that ${title}`, async () => {
      const { root, keys } = await loose();
      const files = new WatchedFiles(instead);
      const report = await packed(root, files);
      assert.equal(report.packedObjects, keys.length);
      assert.ok(files.calls > 0 && files.calls <= callsMax, `${files.calls} calls`);
      assert.ok(files.areClosed);
      assert.deepEqual(await contentsOf(root), keys);
    });
  }

  test("reads few objects, and those that are not compared with their keys, in the usual way", async () => {
    const files = new WatchedFiles();
    const { root, keys } = await loose();
    for (const key of keys.filter((_, i) => i % 2 === 0)) rmSync(pathOf(root, key));
    await packed(root, files);
    assert.equal(files.calls, 0);
    const other = await loose();
    await packed(other.root, files, { verifyHash: false });
    assert.equal(files.calls, 0);
  });

  test("compresses in threads what was read before they started, and goes on with them", async () => {
    const { root, keys } = await loose({ compression: "zstd:+1" });
    const files = new WatchedFiles();
    await packed(root, files, { compress: "yes", threads: 2, signal: patientSignal() });
    assert.ok(files.calls > 0 && files.areClosed && tasksDone() > 0);
    assert.deepEqual(await contentsOf(root), keys);
  });
});
