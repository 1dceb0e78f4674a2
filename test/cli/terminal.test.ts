import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { OsLock } from "../../src/fs/os-lock.ts";
import { cliTest, type Workspace } from "./support.ts";

const withoutScript = spawnSync("script", ["--version"]).status === 0 ? false : "needs the program 'script'";

/** Runs a command line in a terminal; what it showed. Standard output goes to the file `stdout`. */
function inTerminal(work: Workspace, line: string, env: NodeJS.ProcessEnv = {}, size = "cols 120 rows 40"): string {
  const quoted = `stty ${size}; ${line}`.replaceAll("'", `'\\''`);
  return work.shell(`export -f tsdos; script -qec '${quoted}' /dev/null`, { SHELL: "/bin/bash", TERM: "xterm", ...env })
    .stdout;
}

cliTest("a terminal shows how far it is, and a summary; nothing else does", async (work, context) => {
  if (withoutScript) return context.skip(withoutScript);
  await work.container();
  for (let file = 0; file < 300; file++) work.write(`tree/${file}`, `content ${file}`);
  const shown = inTerminal(work, "tsdos add -r tree --durability process > stdout");
  assert.match(shown, /add {2}.*\d+ objects|add {2}.*\d+ of 300 objects/);
  assert.match(shown, /tsdos: 300 files, .*; 300 new objects/);
  const again = inTerminal(work, "tsdos pack > stdout");
  assert.match(again, /\[#*-*\] \d+%|objects/);
  const validated = inTerminal(work, "tsdos validate > stdout");
  assert.match(validated, /structure {2}0 objects[\s\S]*validate {2}\[#*-*\] \d+%/);
  for (const line of ["tsdos add -r tree -q > stdout", "TERM=dumb tsdos validate > stdout"]) {
    assert.equal(inTerminal(work, line), "", line);
  }
});

// A terminal that nobody looks at, as that of `script`, has no size. That was taken for no room at all.
cliTest("a terminal without a size shows how far it is, too", async (work, context) => {
  if (withoutScript) return context.skip(withoutScript);
  await work.container(["content"]);
  assert.match(inTerminal(work, "tsdos validate > stdout", {}, "cols 0 rows 0"), /validate {2}\[#*-*\] \d+%/);
});

cliTest("a terminal is told for whom a packer waits", async (work, context) => {
  if (withoutScript) return context.skip(withoutScript);
  await work.container(["content"]);
  const lock = new OsLock(work.path("container/packed/lock"), work.path("container/packed/lock.holder"));
  assert.ok(lock.tryAcquire("a test"));
  context.after(() => lock.close());
  const told = new RegExp(`waiting for process ${process.pid} on .*, which does "a test"`);
  assert.match(inTerminal(work, "tsdos --wait 3 pack > stdout"), told);
  assert.doesNotMatch(inTerminal(work, "tsdos --wait 1 -q pack > stdout"), /waiting/);
});

cliTest("errors are coloured on a terminal, unless NO_COLOR is set", async (work, context) => {
  if (withoutScript) return context.skip(withoutScript);
  const red = "\u001b[31m";
  assert.ok(inTerminal(work, "unset NO_COLOR NODE_DISABLE_COLORS CI; tsdos ls").startsWith(`${red}tsdos:`));
  assert.ok(inTerminal(work, "tsdos ls", { NO_COLOR: "1" }).startsWith("tsdos: NOT_A_CONTAINER"));
  assert.ok(inTerminal(work, "TERM=dumb tsdos ls").startsWith("tsdos: NOT_A_CONTAINER"));
  const both = inTerminal(work, "tsdos ls", { NO_COLOR: "1", FORCE_COLOR: "1" });
  assert.ok(both.startsWith("tsdos: NOT_A_CONTAINER"));
});

// FORCE_COLOR coloured also what went to files, and in spite of NO_COLOR.
cliTest("without a terminal nothing is coloured", async (work) => {
  for (const env of [{ FORCE_COLOR: "1" }, { FORCE_COLOR: "1", NO_COLOR: "1" }]) {
    const { stderr } = await work.run(["ls"], { env });
    assert.ok(stderr.startsWith("tsdos: NOT_A_CONTAINER"), stderr);
  }
});
