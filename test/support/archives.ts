import assert from "node:assert/strict";
import type { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { newContainer } from "./damage.ts";

/** A new container, closed by who uses it. */
export async function make(options: CreateOptions = {}): Promise<Container> {
  return (await newContainer(options)).container;
}

/** Small and large ones, raw and compressed, in frames, loose, and empty. */
export async function filled(options: CreateOptions = {}): Promise<Container> {
  const container = await make(options);
  const packed = [...smallContents(120, 1), prose(6_000_000), noise(4_500_000), new Uint8Array(), prose(3_000)];
  await Array.fromAsync(container.insertMany(packed, { to: "packed" }));
  await Array.fromAsync(container.insertMany([...smallContents(30, 2), prose(5_000_000, 7), noise(20)]));
  return container;
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
