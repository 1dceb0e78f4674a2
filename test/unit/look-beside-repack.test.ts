// An instance that looks for objects while another process repacks, at any moment of the look.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { prose } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { builtMain } from "../support/built.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

const contents = Array.from({ length: 3 }, (_, i) => prose(900, i));

/** Several packs that MANIFEST does not know. */
async function fillPacks(root: string): Promise<void> {
  await using writer = await Container.open(root, { tidyIndex: false });
  for (const content of contents) await writer.insert(content, { to: "packed", compress: "no" });
}

/** Looks for all objects, and has another process repack before the call with this number; false when there are fewer. */
async function lookBeside(made: string, call: number): Promise<boolean> {
  const root = join(temporaryFolder(), "container");
  cpSync(made, root, { recursive: true });
  let left = Number.POSITIVE_INFINITY;
  const fs = new InterceptedFileSystem(new NodeFileSystem(), () => {
    if (--left === 0) execFileSync(process.execPath, [builtMain, "-q", "-p", root, "repack", "--all"]);
    return undefined;
  });
  const { combined, close } = openStoresAt(fs, root);
  await combined.packed.has(keyOf(prose(1, 1)));
  await fillPacks(root);
  left = call;
  for await (const { key, object } of combined.extractMany(contents.map((content) => keyOf(content))))
    assert.ok(object, `${key} is missing after a repack before call ${call}`);
  close();
  return left <= 0;
}

test("an instance that looks finds every object, at whatever moment of it another process repacks", async () => {
  const { root, container } = await newContainer({ packSizeTarget: 1500, durability: "process" });
  await container.insert(prose(500, 100), { to: "packed", compress: "no" });
  await container.rebuildIndex();
  await container.close();
  let calls = 0;
  while (await lookBeside(root, calls + 1)) calls++;
  assert.ok(calls > 10);
});
