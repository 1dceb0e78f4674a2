// Installs the Debian packages that make the file systems of the power cuts. Where that cannot be done those are skipped.
import { spawnSync } from "node:child_process";
import { missingPackages } from "../test/proofs/file-systems.ts";

const TIMEOUT_MS = 300_000;

const missing = process.platform === "linux" ? missingPackages() : [];
const isRoot = process.getuid?.() === 0;
for (const step of isRoot && missing.length > 0 ? [["update"], ["install", "--yes", ...missing]] : []) {
  spawnSync("apt-get", ["-qq", ...step], { stdio: "ignore", timeout: TIMEOUT_MS });
}
const still = process.platform === "linux" ? missingPackages() : [];
if (still.length > 0) console.log(`The power cuts that need ${still.join(", ")} will be skipped.`);
