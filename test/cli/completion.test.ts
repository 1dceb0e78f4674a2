import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { describeCommands, printCompletion, type Shell, shells } from "../../src/cli/completion-scripts.ts";
import { createProgram } from "../../src/cli/program.ts";
import { Session } from "../../src/cli/session.ts";
import { temporaryFolder } from "../support/folders.ts";

const program = describeCommands(createProgram(new Session(new AbortController().signal)));

function has(shell: Shell): boolean {
  return spawnSync(shell, ["-c", "exit 0"]).status === 0;
}

for (const shell of shells) {
  test(`${shell} accepts its completion script`, {
    skip: has(shell) ? false : `${shell} is not installed`,
  }, () => {
    const folder = temporaryFolder();
    const script = printCompletion(shell, program);
    const file = join(folder, `tsdos.${shell}`);
    writeFileSync(file, script);
    const { status, stderr } = spawnSync(shell, ["-n", file], { encoding: "utf8" });
    assert.equal(stderr, "");
    assert.equal(status, 0);
    for (const word of ["init", "create", "rebuild-index", "manifest", "optimize"])
      assert.ok(script.includes(word), word);
  });
}

test("folders are offered where another container or a backup is wanted", () => {
  for (const name of ["export", "import", "backup", "restore-backup", "backups"])
    assert.equal(program.commands.find(({ names }) => names.includes(name))?.argument, "folder", name);
});

/** What bash offers for the last of `words`. */
function completeInBash(...words: string[]): string[] {
  const script = `${printCompletion("bash", program)}
COMP_WORDS=(tsdos "$@"); COMP_CWORD=$#; _tsdos; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = spawnSync("bash", ["-c", script, "bash", ...words], { encoding: "utf8" });
  return stdout.split("\n").filter((line) => line !== "");
}

test("bash completes commands, options and their values", {
  skip: has("bash") ? false : "bash is not installed",
}, () => {
  assert.deepEqual(completeInBash("re"), ["repack", "restore", "repair", "rebuild-index", "restore-backup"]);
  assert.deepEqual(completeInBash("-p", "init", "val"), ["validate"]);
  assert.deepEqual(completeInBash("init", "--fo"), ["--format"]);
  assert.deepEqual(completeInBash("init", "--format", ""), ["1", "2"]);
  assert.deepEqual(completeInBash("init", "--format", "=", ""), ["1", "2"]);
  assert.deepEqual(completeInBash("create", "--format", "2", "--qu"), ["--quiet"]);
  assert.deepEqual(completeInBash("inspect", "p"), ["packed"]);
  assert.deepEqual(completeInBash("completion", ""), ["bash", "zsh", "fish"]);
  assert.deepEqual(completeInBash("add", "--compress", "y"), ["yes"]);
  for (const command of ["add", "pack", "repack", "import", "export"])
    assert.deepEqual(completeInBash(command, "--rec").slice(-1), ["--recompress"]);
  // A command that the help leaves out, but cli.md names.
  assert.deepEqual(completeInBash("opt"), ["optimize"]);
  assert.deepEqual(completeInBash("-p", "pack", "optimize", ""), ["pack", "repack"]);
  assert.deepEqual(completeInBash("optimize", "re"), ["repack"]);
  assert.deepEqual(completeInBash("optimize", "pack", "--thr"), ["--threads"]);
  assert.deepEqual(completeInBash("optimize", "repack", "--compress", "y"), ["yes"]);
  assert.deepEqual(completeInBash("add", "f"), [], "left to bash, which completes file names");
});

test("fish completes commands, options and their values", {
  skip: has("fish") ? false : "fish is not installed",
}, () => {
  const complete = (line: string): string[] => {
    const script = `${printCompletion("fish", program)}\ncomplete -C '${line}'`;
    const { stdout } = spawnSync("fish", ["--no-config", "-c", script], { encoding: "utf8" });
    return stdout.split("\n").flatMap((text) => text.split("\t")[0] || []);
  };
  assert.deepEqual(complete("tsdos rebuild"), ["rebuild-index"]);
  assert.deepEqual(complete("tsdos init --form"), ["--format"]);
  assert.deepEqual(complete("tsdos init --format "), ["1", "2"]);
  assert.deepEqual(complete("tsdos inspect "), ["loose", "packed"]);
  assert.deepEqual(complete("tsdos optimize "), ["pack", "repack"]);
  assert.deepEqual(complete("tsdos optimize pack --thr"), ["--threads"]);
});
