import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const project = join(import.meta.dirname, "..");
const dist = join(project, "dist");

interface Entry {
  readonly in: string;
  readonly out: string;
}

/** Threads: a module looks for them beside itself, in src/ as among the chunks. */
const threads: readonly Entry[] = [
  { in: "src/key/hash-worker.ts", out: "hash-worker" },
  { in: "src/pack-index/sqlite-worker.ts", out: "sqlite-worker" },
  { in: "src/store/encode-worker.ts", out: "encode-worker" },
  { in: "src/maintenance/check-worker.ts", out: "check-worker" },
];

/** Puts the programs into dist/, bundled, which start three times as fast as 180 modules. */
export async function bundle(): Promise<void> {
  await bundleTo(dist, [
    { in: "src/index.ts", out: "index" },
    { in: "src/testing.ts", out: "testing" },
    { in: "src/cli/main.ts", out: "cli/main" },
  ]);
  chmodSync(join(dist, "cli/main.js"), 0o755);
}

/** Puts the programs that the tests start again and again into a folder, with all of tsdos that they use. */
export async function bundleTestPrograms(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  await bundleTo(folder, [
    { in: "test/cli/many-runs.ts", out: "cli/many-runs" },
    { in: "test/concurrency/child.ts", out: "concurrency/child" },
    { in: "test/proofs/actor-main.ts", out: "proofs/actor-main" },
  ]);
}

async function bundleTo(outdir: string, entries: readonly Entry[]): Promise<void> {
  await build({
    absWorkingDir: project,
    entryPoints: [...entries, ...threads],
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: "[name]-[hash]",
    format: "esm",
    platform: "node",
    // The oldest that `engines` allows.
    target: "node22.15",
    packages: "external",
    logLevel: "warning",
  });
}
