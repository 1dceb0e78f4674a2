// The real rsdos 0.2.0, by the driver of the benchmark, on containers that tsdos writes.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Container, isTsdosError } from "../../src/index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { LineProcess } from "../support/line-process.ts";
import { rsdosDriver } from "../support/rsdos.ts";
import { assertHolds, assertValid, noise, sha256, sizesOf, text } from "./support.ts";

const driver = rsdosDriver();
const options = { skip: driver === undefined && "needs the driver of rsdos: npm run bench builds it, with cargo" };

interface Answer {
  readonly ok: boolean;
  readonly error?: string;
  readonly objects?: number;
  readonly bytes?: number;
  readonly sum?: number;
  readonly list?: string[];
}

class Rsdos {
  readonly #process: LineProcess;
  readonly #folder: string;
  readonly #container: string;

  constructor(t: TestContext, folder: string, container: string) {
    this.#process = new LineProcess([driver!]);
    this.#folder = folder;
    this.#container = container;
    t.after(() => this.#process[Symbol.asyncDispose]());
  }

  async ask(op: string, parameters: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    const answer = (await this.#process.ask({ op, path: this.#container, ...parameters })) as Answer;
    assert.ok(answer.ok, answer.error);
    return answer;
  }

  /** Stores byte strings in packs. */
  async insert(contents: readonly Uint8Array[]): Promise<string[]> {
    const files = contents.map((content, i) => {
      const file = join(this.#folder, `content${i}`);
      writeFileSync(file, content);
      return file;
    });
    return (await this.ask("insert-bytes", { where: "packed", files })).list!;
  }

  /** Every one of the contents is there and is read right: the stride of 1 makes the sum one of all bytes. */
  async assertReads(where: "loose" | "packed", contents: readonly Uint8Array[]): Promise<void> {
    const keys = join(this.#folder, "keys");
    writeFileSync(keys, contents.map((content) => `${sha256(content)}\n`).join(""));
    const { objects, bytes, sum } = await this.ask("read", { where, keys, stride: 1 });
    const all = Buffer.concat(contents);
    assert.deepEqual(
      { objects, bytes, sum },
      { objects: contents.length, bytes: all.length, sum: all.reduce((a, b) => a + b, 0) },
    );
  }
}

describe("rsdos", options, () => {
  test("reads and extends a container of version 1 that tsdos made, and tsdos reads that", async (t: TestContext) => {
    const folder = temporaryFolder();
    const path = join(folder, "container");
    const rsdos = new Rsdos(t, folder, path);
    await using container = await Container.create(path, { formatVersion: 1, packSizeTarget: 50_000 });
    const loose = [text(900, "loose"), noise(3_000, "loose")];
    const raw = [text(0, ""), text(5_000, "raw"), noise(40_000, "raw")];
    const compressed = [text(200_000, "compressed"), text(1_000, "short")];
    for (const content of loose) await container.insert(content);
    for await (const _ of container.insertMany(raw, { to: "packed", compress: "no" }));
    for await (const _ of container.insertMany(compressed, { to: "packed", compress: "yes" }));
    await rsdos.assertReads("loose", loose);
    await rsdos.assertReads("packed", [...raw, ...compressed]);

    const theirs = [text(70_000, "theirs"), noise(500, "theirs"), text(10, "theirs")];
    assert.deepEqual(await rsdos.insert(theirs), theirs.map(sha256));
    const all = [...loose, ...raw, ...compressed, ...theirs];
    await assertHolds(container, sizesOf(all));
    await container.pack({ compress: "yes" });
    await assertHolds(container, sizesOf(all));
    await assertValid(container);
    await rsdos.assertReads("packed", all);
  });

  for (const compression of ["zlib:+1", "zstd:-1", "none"]) {
    test(`makes a container with ${compression}, tsdos extends and packs it, rsdos reads what is not zstd`, async (t) => {
      const folder = temporaryFolder();
      const path = join(folder, "container");
      const rsdos = new Rsdos(t, folder, path);
      await rsdos.ask("create", { compression });
      const theirs = [text(70_000, "theirs"), noise(500, "theirs"), text(10, "theirs"), text(0, "")];
      assert.deepEqual(await rsdos.insert(theirs), theirs.map(sha256));
      await using container = await Container.open(path);
      const loose = [text(1_000, "loose"), noise(2_000, "loose")];
      const packed = [text(100_000, "packed"), noise(3_000, "packed")];
      for (const content of loose) await container.insert(content);
      for await (const _ of container.insertMany(packed, { to: "packed", compress: "auto" }));
      await container.pack();
      await assertHolds(container, sizesOf([...theirs, ...loose, ...packed]));
      await assertValid(container);
      await rsdos.assertReads("packed", [...loose, ...packed]);
      if (!compression.startsWith("zstd")) await rsdos.assertReads("packed", theirs);
    });
  }

  // rsdos hashes some bytes twice when its zlib writer takes less than it was offered, which needs a large object that
  // does not compress. The index then names content by a key that is not its hash: damage, to be reported as such.
  test("gives a wrong key to large incompressible content, and tsdos notices", async (t: TestContext) => {
    const folder = temporaryFolder();
    const path = join(folder, "container");
    mkdirSync(path);
    const rsdos = new Rsdos(t, folder, path);
    await rsdos.ask("create", { compression: "zlib:+1" });
    const content = noise(1_000_000, "wrong");
    const [wrong] = await rsdos.insert([content]);
    assert.notEqual(wrong, sha256(content));
    await using container = await Container.open(path);
    const object = await container.extract(wrong!, { verify: "hash" });
    const damaged = (error: unknown): boolean => isTsdosError(error, "CORRUPT_OBJECT") && error.details.key === wrong;
    await assert.rejects(object!.bytes(), damaged);
    const { valid, problems } = await container.validate();
    assert.equal(valid, false);
    assert.deepEqual(
      problems.map(({ code, key }) => [code, key]),
      [["CORRUPT_OBJECT", wrong]],
    );
  });
});
