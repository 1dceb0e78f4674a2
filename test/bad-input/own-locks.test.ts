import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { fromFile, type Source } from "../../src/store/source.ts";
import { temporaryFolder } from "../support/folders.ts";
import { skipWithoutOpenFiles as skip } from "../support/open-files.ts";

const PROGRAM = `
const [url, path] = process.argv.slice(1);
const { Container } = await import(url);
await using container = await Container.open(path, { lockTimeoutMs: 0 });
console.log(await container.insert(Buffer.from("theirs"), { to: "packed" }).then(() => "stored", (error) => error.code));
`;

function insertElsewhere(path: string): string {
  const url = new URL("../../src/index.ts", import.meta.url).href;
  const args = ["--no-warnings", "--input-type=module", "-e", PROGRAM, url, path];
  return spawnSync(process.execPath, args, { encoding: "utf8" }).stdout.trim();
}

const LOCKS = [
  [2, ["packed/lock", "packed/removals.lock"]],
  [1, ["sandbox/tsdos.lock", "sandbox/tsdos.removals.lock", "packs.idx", "packs.idx-shm"]],
] as const;

// Who inserted all files of a folder in which the container itself was read its lock: to close any file frees the locks that the
// process has on it. Another process got the packer lock, and the two wrote their objects to the same place of a pack.
for (const [formatVersion, names] of LOCKS) {
  test(`files that keep others out are no sources for their own container (version ${formatVersion})`, async () => {
    const path = join(temporaryFolder(), "container");
    await using container = await Container.create(path, { formatVersion });
    await container.insert(Buffer.from("first"), { to: "packed" });
    for (const to of ["loose", "packed"] as const) {
      const refused: number[] = [];
      function* sources(): Generator<Source> {
        yield Buffer.from(`before, ${to}`);
        for (const name of names) yield fromFile(join(path, name));
        if (to === "packed") assert.equal(insertElsewhere(path), "LOCKED");
        yield fromFile(join(path, "config.json"));
      }
      const results = await Array.fromAsync(
        container.insertMany(sources(), {
          to,
          onSourceError: (error, index) => {
            assert.ok(isTsdosError(error, "SOURCE_FAILED"));
            refused.push(index);
          },
        }),
      );
      assert.deepEqual(
        refused,
        names.map((_, i) => i + 1),
      );
      assert.equal(results.length, 2);
    }
    assert.equal(insertElsewhere(path), "stored");
    assert.deepEqual((await container.validate()).problems, []);
  });
}

// The same where another container in this process, or in a thread of it, took them: as who archives the folder of an open container.
for (const [formatVersion, names] of LOCKS) {
  test(`nor for another container, while theirs is open (version ${formatVersion})`, { skip }, async () => {
    const folder = temporaryFolder();
    const path = join(folder, "container");
    await using container = await Container.create(path, { formatVersion });
    await using other = await Container.create(join(folder, "other"));
    await container.insert(Buffer.from("first"), { to: "packed" });
    async function* sources(): AsyncGenerator<Source> {
      yield Buffer.from("before");
      for (const name of names)
        await assert.rejects(other.insert(fromFile(join(path, name))), { code: "SOURCE_FAILED" });
      await other.insert(fromFile(join(path, "config.json")));
      assert.equal(insertElsewhere(path), "LOCKED");
    }
    await Array.fromAsync(container.insertMany(sources(), { to: "packed" }));
    await container.close();
    // Files as any others are, where nobody uses them.
    for (const name of names.filter((one) => !one.endsWith("-shm"))) await other.insert(fromFile(join(path, name)));
  });
}
