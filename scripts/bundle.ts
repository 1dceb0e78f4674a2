import { chmodSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const project = join(import.meta.dirname, "..");
const dist = join(project, "dist");

/** Puts the programs into dist/, bundled, which start three times as fast as 180 modules. */
export async function bundle(): Promise<void> {
  await build({
    absWorkingDir: project,
    entryPoints: [
      { in: "src/index.ts", out: "index" },
      { in: "src/testing.ts", out: "testing" },
      { in: "src/cli/main.ts", out: "cli/main" },
      // Threads: a module looks for them beside itself, in src/ as among the chunks.
      { in: "src/key/hash-worker.ts", out: "hash-worker" },
      { in: "src/store/encode-worker.ts", out: "encode-worker" },
      { in: "src/maintenance/check-worker.ts", out: "check-worker" },
    ],
    outdir: dist,
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
  chmodSync(join(dist, "cli/main.js"), 0o755);
}
