import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { newContainer } from "./damage.ts";
import { temporaryFolder } from "./folders.ts";

/** A new container, closed by who uses it. */
export async function make(options: CreateOptions = {}): Promise<Container> {
  return (await newContainer(options)).container;
}

// Asked for outside of a test, so that folders stay until the tests of the file are over.
const parent = temporaryFolder();
/** Closed containers, by their options. */
const templates = new Map<string, Promise<string>>();

/** Small and large ones, raw and compressed, in frames, loose, and empty. */
async function madeFull(options: CreateOptions): Promise<string> {
  const root = join(parent, `made ${templates.size}`);
  const container = await Container.create(root, { durability: "process", ...options });
  const packed = [...smallContents(120, 1), prose(4_400_000), noise(4_250_000), new Uint8Array(), prose(3_000)];
  await Array.fromAsync(container.insertMany(packed, { to: "packed" }));
  await Array.fromAsync(container.insertMany([...smallContents(30, 2), prose(4_300_000, 7), noise(20)]));
  await container.close();
  return root;
}

/** A new container with them, closed by who uses it. */
export async function filled(options: CreateOptions = {}): Promise<Container> {
  const name = JSON.stringify(options);
  if (!templates.has(name)) templates.set(name, madeFull(options));
  const root = join(temporaryFolder(), "container");
  cpSync((await templates.get(name)) as string, root, { recursive: true });
  return Container.open(root, { durability: "process" });
}

/** An archive of all objects, or of some. */
export async function archiveOf(container: Container, keys?: string[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  const report = await container.exportArchive((bytes) => void parts.push(Buffer.from(bytes)), keys ? { keys } : {});
  const archive = Buffer.concat(parts);
  assert.equal(report.archiveBytes, archive.length);
  return archive;
}

/** The bytes in pieces, each in the memory of the last one. */
export function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  const memory = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
  }
}
