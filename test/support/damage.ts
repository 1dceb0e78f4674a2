import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { ENTRY_SIZE, type PackEntry, sealTocEntry, writeRecord } from "../../src/format/entry.ts";
import { keyOf } from "../../src/key/hash.ts";
import { temporaryFolder } from "./folders.ts";

/** A new container on disk. */
export async function newContainer(
  options: CreateOptions = {},
): Promise<{ readonly root: string; readonly container: Container }> {
  const root = join(temporaryFolder(), "container");
  return { root, container: await Container.create(root, { durability: "process", ...options }) };
}

/** Where an object that has this content, or this key, is loose. */
export function loosePathOf(root: string, object: Uint8Array | string): string {
  const key = typeof object === "string" ? object : keyOf(object);
  return join(root, "loose", key.slice(0, 2), key.slice(2));
}

/** As if everything in a folder were old: in version 1, what was written just now may belong to who has not committed yet. */
export function makeOld(folder: string): void {
  for (const name of readdirSync(folder)) utimesSync(join(folder, name), 1e9, 1e9);
}

/** Changes a byte of a file, which has it. */
export function flip(path: string, position: number, mask = 0x55): void {
  const file = openSync(path, "r+");
  const byte = Buffer.alloc(1);
  assert.equal(readSync(file, byte, 0, 1, position), 1);
  byte[0] = (byte[0] as number) ^ mask;
  writeSync(file, byte, 0, 1, position);
  closeSync(file);
}

export function cut(path: string, size: number): void {
  writeFileSync(path, readFileSync(path).subarray(0, size));
}

/** Appends a valid entry to a table of contents. */
export function appendEntry(root: string, packId: number, key: string, entry: Omit<PackEntry, "packId">): void {
  const bytes = Buffer.alloc(ENTRY_SIZE);
  bytes.write(key, 0, "hex");
  writeRecord(bytes, 0, { packId, ...entry });
  sealTocEntry(bytes, 0);
  appendFileSync(join(root, `packed/${packId}.toc`), bytes);
}

/** Runs SQL on the index of a version 1 container. */
export function sql(root: string, statement: string): void {
  const database = new DatabaseSync(join(root, "packs.idx"));
  database.exec(statement);
  database.close();
}
