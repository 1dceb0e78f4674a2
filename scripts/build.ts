// Compiles src/ into a fresh dist/.
import { spawnSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";

const project = join(import.meta.dirname, "..");
const dist = join(project, "dist");
const compiler = join(project, "node_modules/typescript/bin/tsc");

rmSync(dist, { recursive: true, force: true });
const tsc = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: project, stdio: "inherit" });
if (tsc.status !== 0) process.exit(1);
chmodSync(join(dist, "cli/main.js"), 0o755);
