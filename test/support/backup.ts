import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execPath } from "node:process";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import { builtMain } from "./built.ts";

/** Programs start three times as fast when they are compiled only once. */
const cache = join(import.meta.dirname, "../../.cache/compile");

function script(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** A program that does what ssh would, without another machine: it has a shell run the command. And a tsdos for that command. */
export function fakeSsh(parent: string): { readonly ssh: string; readonly remoteCommand: string } {
  const folder = mkdtempSync(join(parent, "ssh-"));
  return {
    ssh: script(folder, "ssh", `while [ "$1" != -- ]; do shift; done\nshift 2\nexec sh -c "$*"`),
    remoteCommand: script(folder, "tsdos", `NODE_COMPILE_CACHE="${cache}" exec "${execPath}" "${builtMain}" "$@"`),
  };
}

/** Every file below a folder: inode and size by path. */
export function filesIn(folder: string): Map<string, { readonly inode: number; readonly size: number }> {
  const files = new Map<string, { inode: number; size: number }>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    const stat = statSync(join(folder, name));
    if (stat.isFile()) files.set(name, { inode: stat.ino, size: stat.size });
  }
  return files;
}

/** Every object's content, compared with its key; the keys in ascending order. */
export async function readAll(store: Pick<ObjectStore, "keys" | "extractMany">): Promise<string[]> {
  const keys = await Array.fromAsync(store.keys());
  let read = 0;
  for await (const { key, object } of store.extractMany(keys, { verify: "hash" })) {
    const bytes = await object?.bytes();
    assert.ok(bytes !== undefined && keyOf(bytes) === key, `${key} does not read as itself`);
    read++;
  }
  assert.equal(read, keys.length);
  return keys;
}
