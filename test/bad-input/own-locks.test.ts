import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { fromFile, type Source } from "../../src/store/source.ts";
import { temporaryFolder } from "../support/folders.ts";

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

// Who inserted all files of a folder in which the container itself was read its lock: to close any file frees the locks that the
// process has on it. Another process got the packer lock, and the two wrote their objects to the same place of a pack.
for (const [formatVersion, names] of [
  [2, ["packed/lock", "packed/removals.lock"]],
  [1, ["sandbox/tsdos.lock", "sandbox/tsdos.removals.lock", "packs.idx", "packs.idx-shm"]],
] as const) {
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
