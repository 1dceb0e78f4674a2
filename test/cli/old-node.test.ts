import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import ts from "typescript";
import { cliTest } from "./support.ts";

/** A Node of the machine that is too old for tsdos, if it has one. */
function findOldNode(): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"];
  return folders
    .filter((folder) => !folder.includes("node_modules"))
    .map((folder) => join(folder, "node"))
    .find((node) => {
      const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout ?? "";
      const [major = 99, minor = 0] = version.replace("v", "").split(".").map(Number);
      return major >= 18 && (major < 22 || (major === 22 && minor < 15));
    });
}

cliTest("an old Node is told so, in one sentence", async (work, context) => {
  const node = findOldNode();
  if (node === undefined) return context.skip("no Node older than 22.15 found");
  const main = readFileSync(join(import.meta.dirname, "../../src/cli/main.ts"), "utf8");
  const compilerOptions = {
    target: ts.ScriptTarget.ES2024,
    module: ts.ModuleKind.ESNext,
    verbatimModuleSyntax: true,
  };
  work.write("package.json", `{ "type": "module" }`);
  const compiled = ts.transpileModule(main, { fileName: work.path("main.ts"), compilerOptions }).outputText;
  const file = work.write("main.js", compiled);
  const { status, stdout, stderr } = spawnSync(node, [file, "ls"], { encoding: "utf8" });
  assert.match(stderr, /^tsdos: OLD_NODE: tsdos needs Node 22\.15 or newer, this is Node \d+\.\d+\.\d+\n$/);
  assert.deepEqual([status, stdout], [1, ""]);
  const asJson = spawnSync(node, [file, "ls", "--json"], { encoding: "utf8" });
  assert.equal(JSON.parse(asJson.stderr).error.code, "OLD_NODE");
});
