// Makes a fresh dist/: the types by the compiler, and the programs.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { bundle } from "./bundle.ts";

const project = join(import.meta.dirname, "..");
const compiler = join(project, "node_modules/typescript/bin/tsc");

rmSync(join(project, "dist"), { recursive: true, force: true });
const tsc = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: project, stdio: "inherit" });
if (tsc.status !== 0) process.exit(1);
await bundle();
