import { chmodSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execPath } from "node:process";
import type { Container } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";

const main = join(import.meta.dirname, "../../src/cli/main.ts");

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
    remoteCommand: script(folder, "tsdos", `NODE_COMPILE_CACHE="${cache}" exec "${execPath}" "${main}" "$@"`),
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
export async function readAll(container: Container): Promise<string[]> {
  const keys = await Array.fromAsync(container.keys());
  for await (const { key, object } of container.extractMany(keys, { verify: "hash" })) {
    const bytes = await object?.bytes();
    if (bytes === undefined || keyOf(bytes) !== key) throw new Error(`${key} does not read as itself`);
  }
  return keys;
}
