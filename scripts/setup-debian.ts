// Installs the Debian packages that some tests need: what makes the file systems of the power cuts, and sshd. Where that cannot be
// done those tests are skipped.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { missingPackages as missingFileSystems } from "../test/proofs/file-systems.ts";
import { whyNoSshd } from "../test/support/sshd.ts";

const TIMEOUT_MS = 300_000;

const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };

/** A server that starts with the machine is not for a test to install: only where nothing would start it, as in containers. */
const startsServers = existsSync("/run/systemd/system");

function missingPackages(): string[] {
  const isWanted = !startsServers && whyNoSshd() !== false;
  return [...missingFileSystems(), ...(isWanted ? ["openssh-server", "openssh-client"] : [])];
}

const missing = process.platform === "linux" ? missingPackages() : [];
const isRoot = process.getuid?.() === 0;
for (const step of isRoot && missing.length > 0 ? [["update"], ["install", "--yes", ...missing]] : []) {
  spawnSync("apt-get", ["-qq", ...step], { env, stdio: "ignore", timeout: TIMEOUT_MS });
}
const still = process.platform === "linux" ? missingPackages() : [];
if (still.length > 0) console.log(`Tests that need ${still.join(", ")} will be skipped.`);
