// A pack, or a large loose object, that somebody cut while a caller took long over a piece ended the process (SIGBUS) at the next one,
// which stood behind the end of the file. It is tried in a process of its own.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import { noise } from "../../src/testing/contents.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";

const LIMIT_MS = 60_000;
const content = noise(40 * 1024 ** 2);

/** Cuts the file when it has the first piece, which is not touched again, and takes a while for it. */
const CUTS = `
  const [library, root, key, file] = process.argv.slice(1);
  const { Container } = await import(library);
  const { truncateSync } = await import("node:fs");
  const container = await Container.open(root);
  let sum = 0;
  let pieces = 0;
  try {
    for await (const piece of (await container.extract(key)).pieces()) {
      sum += piece[0] + piece[piece.length - 1];
      if (pieces++ > 0) continue;
      // Until what is computed of the next pieces, beside this, is done.
      await new Promise((resolve) => setTimeout(resolve, 500));
      truncateSync(file, 0);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    console.log("all of it", sum);
  } catch (error) {
    console.log(error.code);
  }
`;

for (const to of ["loose", "packed"] as const) {
  test(`a file that is cut while a caller takes long over a piece is damage: ${to}`, async () => {
    const { root, container } = await newContainer();
    const key = keyOf(content);
    await container.insert(content, { to, compress: "no", durability: "process" });
    await container.close();
    const file = to === "packed" ? join(root, "packed/0.pack") : loosePathOf(root, key);
    const library = new URL("../../src/index.ts", import.meta.url).href;
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", CUTS, library, root, key, file], {
      encoding: "utf8",
      timeout: LIMIT_MS,
    });
    assert.deepEqual([child.signal, child.stdout.trim()], [null, "CORRUPT_OBJECT"], child.stderr);
  });
}
