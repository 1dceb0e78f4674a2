import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const project = join(import.meta.dirname, "../..");
const crate = join(project, "bench/rsdos-driver");
const targetFolder = join(project, ".cache/rsdos-driver");
const program = join(targetFolder, "release/rsdos-driver");

/** The driver of rsdos 0.2.0. With `build` it is brought up to date by cargo, which must be there. */
export function rsdosDriver(options: { readonly build: true }): string;
export function rsdosDriver(options?: { readonly build: false }): string | undefined;
export function rsdosDriver(options: { readonly build: boolean } = { build: false }): string | undefined {
  if (!options.build) return existsSync(program) ? program : undefined;
  const env = { ...process.env, CARGO_TARGET_DIR: targetFolder };
  execFileSync("cargo", ["build", "--release", "--locked", "--quiet"], { cwd: crate, env, stdio: ["ignore", 2, 2] });
  return program;
}
