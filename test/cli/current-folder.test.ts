import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { builtMain } from "../support/built.ts";
import { cliTest } from "./support.ts";

// It was INTERNAL, "process.cwd failed".
cliTest("without a current folder, relative paths are a usage error, and others work", async (work) => {
  const [key] = await work.container(["x"]);
  const script = 'mkdir gone && cd gone && rmdir ../gone && "$@"';
  const run = (...args: string[]): SpawnSyncReturns<string> =>
    spawnSync("sh", ["-c", script, "sh", process.execPath, builtMain, ...args], {
      cwd: work.folder,
      encoding: "utf8",
      timeout: 60_000,
    });
  const refused = run("ls");
  assert.equal(refused.status, 2, refused.stderr);
  assert.match(refused.stderr, /^tsdos: USAGE: the current folder was removed, [^\n]+\n$/);
  const { status, stdout } = run("-p", work.path("container"), "ls");
  assert.deepEqual([status, stdout], [0, `${key}\n`]);
});
