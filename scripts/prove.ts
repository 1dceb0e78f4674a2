// Runs the test files of the arguments in their long form, and prints what they say about themselves.
import { spawnSync } from "node:child_process";

const files = process.argv.slice(2);
const { status } = spawnSync(process.execPath, ["--test", "--test-reporter=spec", ...files], {
  stdio: "inherit",
  env: { ...process.env, TSDOS_PROOF: "long" },
});
process.exitCode = status ?? 1;
