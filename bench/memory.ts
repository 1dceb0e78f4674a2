// `npm run bench:memory`: what memory tsdos needs. The work is done in a process as users have it: to strip types, Node needs 30 MB.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";

const code = stripTypeScriptTypes(readFileSync(join(import.meta.dirname, "memory-work.ts"), "utf8"));
const { status } = spawnSync(
  process.execPath,
  ["--input-type=module", "--eval", code, "--", ...process.argv.slice(2)],
  {
    cwd: join(import.meta.dirname, ".."),
    stdio: "inherit",
  },
);
process.exitCode = status ?? 1;
