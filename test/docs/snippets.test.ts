// The TypeScript snippets of a page, one after the other, are one program: it must have the right types, and run.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../support/folders.ts";
import { codeBlocks, project, readText } from "./support.ts";

const PAGES = ["README.md", "docs/library.md"];
const publicEntry = join(project, "src/index.ts");
const compiler = join(project, "node_modules/typescript/bin/tsc");

function programOf(page: string): string {
  const snippets = codeBlocks(readText(page)).filter(({ language }) => language === "ts");
  assert.notEqual(snippets.length, 0);
  const program = snippets.map(({ code }) => code).join("\n");
  return program.replaceAll('from "tsdos"', () => `from ${JSON.stringify(publicEntry)}`);
}

test("the snippets of the documents have the right types", () => {
  const folder = temporaryFolder();
  const files = PAGES.map((page, i) => {
    writeFileSync(join(folder, `${i}.ts`), programOf(page));
    return `${i}.ts`;
  });
  const compilerOptions = {
    rewriteRelativeImportExtensions: false,
    allowImportingTsExtensions: true,
    noUnusedLocals: false,
    typeRoots: [join(project, "node_modules/@types")],
  };
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ extends: join(project, "tsconfig.json"), compilerOptions, files, include: [] }),
  );
  const { status, stdout } = spawnSync(process.execPath, [compiler, "--noEmit"], { cwd: folder, encoding: "utf8" });
  assert.equal(status, 0, stdout);
});

for (const page of PAGES) {
  test(`the snippets of ${page} run`, () => {
    const folder = temporaryFolder();
    for (const name of ["README.md", "package.json"]) copyFileSync(join(project, name), join(folder, name));
    writeFileSync(join(folder, "program.ts"), programOf(page));
    const { status, stderr } = spawnSync(process.execPath, ["program.ts"], {
      cwd: folder,
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.equal(status, 0, stderr);
    assert.equal(stderr, "");
  });
}
