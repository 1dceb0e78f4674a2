// One object of 4 GiB and 200,000 of random sizes up to 64 KiB are inserted, packed and read back. Prints the peak of the process's
// memory after each step, and fails when it was 250 MB or more. `memory.ts` starts it, without types.
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import type * as Tsdos from "../src/index.ts";

const LIMIT = 250e6;
/** Bytes of a piece of the large object, as a file stream gives them. */
const PIECE = 2 ** 16;
const POOL = 2 ** 20;

const { values: options } = parseArgs({
  options: {
    dir: { type: "string" },
    objects: { type: "string", default: "200000" },
    "largest-mib": { type: "string", default: "4096" },
  },
});
const count = Number(options.objects);
const largeSize = Number(options["largest-mib"]) * 2 ** 20;

// As the command line does: or V8's young generation alone takes 128 MB, whatever there is to do.
setFlagsFromString("--semi-space-growth-factor=1");
const { Container }: typeof Tsdos = await import(pathToFileURL(resolve("dist/index.js")).href);

/** Text with little to find for a compressor, and enough of it to cut objects out of. */
const pool = Buffer.from(
  Array.from({ length: POOL / 32 }, (_, i) =>
    createHash("sha256").update(`${i}`).digest("base64url").slice(0, 32),
  ).join(""),
);

function* largeObject(): Generator<Uint8Array> {
  for (let at = 0; at < largeSize; at += PIECE) {
    const piece = Buffer.from(pool.subarray(at % POOL, (at % POOL) + PIECE));
    piece.writeDoubleLE(at, 0);
    yield piece.subarray(0, largeSize - at);
  }
}

/** Sizes from 0 to 64 KiB, the same in every run; contents differ, but for those too short to. */
function* smallObjects(): Generator<Uint8Array> {
  let state = 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const size = (state >>> 0) % (64 * 1024 + 1);
    const from = (state >>> 0) % (pool.length - size);
    const content = Buffer.from(pool.subarray(from, from + size));
    if (size >= 4) content.writeUInt32LE(i, 0);
    yield content;
  }
}

function report(what: string, start: number): void {
  const peak = process.resourceUsage().maxRSS * 1024;
  const seconds = (performance.now() - start) / 1000;
  console.log(`${what}: ${seconds.toFixed(1)} s, peak so far ${(peak / 1e6).toFixed(0)} MB`);
  if (peak >= LIMIT) process.exitCode = 1;
}

async function* asynchronous(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

const folder = mkdtempSync(join(options.dir ?? tmpdir(), "tsdos-memory-"));
try {
  await using container = await Container.create(join(folder, "container"), { durability: "process" });
  report("start", performance.now());

  let start = performance.now();
  const { key } = await container.insert(asynchronous(largeObject()));
  report(`insert of ${options["largest-mib"]} MiB`, start);

  start = performance.now();
  let inserted = 0;
  for await (const result of container.insertMany(smallObjects())) if (result.inserted) inserted += 1;
  report(`insertMany of ${count} objects, ${inserted} of them different`, start);

  start = performance.now();
  const { packedObjects } = await container.pack();
  report(`pack of ${packedObjects} objects`, start);

  start = performance.now();
  let objects = 0;
  let bytes = 0;
  for await (const { object } of container.extractMany(container.keys(), { verify: "hash" })) {
    for await (const piece of object!.pieces()) bytes += piece.length;
    objects += 1;
  }
  if (objects !== inserted + 1) throw new Error(`${objects} objects were read, not ${inserted + 1}`);
  if (!(await container.has(key))) throw new Error(`${key} is missing`);
  report(`extractMany of ${objects} objects, ${(bytes / 2 ** 30).toFixed(2)} GiB, every SHA-256 verified`, start);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
