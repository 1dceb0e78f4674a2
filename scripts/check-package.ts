// Packs the built package as npm would publish it, and checks its exports and types.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const project = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "tsdos-package-"));

function run(program: string, args: readonly string[]): string {
  const shell = process.platform === "win32";
  const result = spawnSync(program, args, { cwd: project, encoding: "utf8", timeout: 120_000, shell });
  if (result.status !== 0) {
    throw new Error(`${program} ${args.join(" ")} failed:\n${result.stdout}${result.stderr}`, { cause: result.error });
  }
  return result.stdout;
}

try {
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]));
  const tarball = join(folder, packed.filename);
  run("publint", ["run", "--strict", tarball]);
  run("attw", ["--profile", "esm-only", "--no-definitely-typed", tarball]);
  console.log(`The package is sound: ${packed.entryCount} files, ${packed.size} bytes packed.`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
