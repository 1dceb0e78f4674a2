import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";

const project = join(import.meta.dirname, "../..");

/** Files of a small project in the shape of this one. Each is the list of what it imports. */
const files: Record<string, string[]> = {
  "src/errors.ts": [],
  "src/sqlite.ts": ["node:sqlite", "./errors.ts"],
  "src/key/key.ts": ["../errors.ts"],
  "src/format/crc32.ts": ["node:zlib"],
  "src/format/toc.ts": ["./crc32.ts", "../key/key.ts"],
  "src/fs/port.ts": ["node:fs", "../format/toc.ts"],
  "src/codec/zlib.ts": ["node:zlib"],
  "src/pack-index/log.ts": ["../format/toc.ts"],
  "src/store/store.ts": ["../fs/port.ts", "../codec/zlib.ts", "../pack-index/log.ts"],
  "src/maintenance/pack.ts": ["../store/store.ts"],
  "src/container/container.ts": ["../maintenance/pack.ts", "../errors.ts"],
  "src/index.ts": ["./container/container.ts"],
  "src/testing.ts": ["./fs/port.ts"],
  "src/cli/main.ts": ["node:fs", "./print.ts", "../index.ts", "commander"],
  "src/cli/print.ts": [],
  "test/a.test.ts": ["../src/testing.ts", "../src/store/store.ts"],
};

const violations: [file: string, imports: string, rule: string][] = [
  ["src/errors.ts", "./key/key.ts", "import-direction"],
  ["src/key/key.ts", "../format/toc.ts", "import-direction"],
  ["src/format/toc.ts", "../codec/zlib.ts", "import-direction"],
  ["src/fs/port.ts", "../codec/zlib.ts", "import-direction"],
  ["src/codec/zlib.ts", "../pack-index/log.ts", "import-direction"],
  ["src/pack-index/log.ts", "../fs/port.ts", "import-direction"],
  ["src/store/store.ts", "../maintenance/pack.ts", "import-direction"],
  ["src/maintenance/pack.ts", "../container/container.ts", "import-direction"],
  ["src/container/container.ts", "../index.ts", "import-direction"],
  ["src/index.ts", "./cli/print.ts", "import-direction"],
  ["src/cli/main.ts", "../errors.ts", "cli-uses-public-entry"],
  ["src/store/store.ts", "../testing.ts", "testing-is-for-tests"],
  ["src/store/store.ts", "node:fs", "fs-only-in-fs"],
  ["src/codec/zlib.ts", "node:fs/promises", "fs-only-in-fs"],
  ["src/format/toc.ts", "node:zlib", "zlib-only-in-codec"],
  ["src/store/store.ts", "node:sqlite", "sqlite-only-in-one-file"],
  ["src/index.ts", "./utils/odds.ts", "no-unknown-folder"],
  ["test/a.test.ts", "./absent.ts", "no-unresolved"],
  ["src/store/store.ts", "commander", "packages-only-in-cli"],
  ["src/cli/main.ts", "typescript", "no-dev-dependency"],
];

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** What the import check says about a project of the given files, as `rule from` lines. */
function cruise(imports: Record<string, string[]>): Set<string> {
  const folder = mkdtempSync(join(tmpdir(), "tsdos-imports-"));
  folders.push(folder);
  for (const [file, specifiers] of Object.entries(imports)) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    // The exported type makes half of the imports vanish at run time: they count all the same.
    const lines = specifiers.map(
      (specifier, i) => `import ${i % 2 === 0 ? "type " : ""}* as m${i} from "${specifier}";`,
    );
    writeFileSync(join(folder, file), `${lines.join("\n")}\nexport type Used = [];\n`);
  }
  for (const file of ["package.json", "tsconfig.json", ".dependency-cruiser.mjs"]) {
    copyFileSync(join(project, file), join(folder, file));
  }
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"));
  const program = join(project, "node_modules/.bin/depcruise");
  const run = spawnSync(process.execPath, [program, "src", "test", "-T", "json"], {
    cwd: folder,
    encoding: "utf8",
    timeout: 60_000,
    maxBuffer: 1 << 26,
  });
  assert.equal(run.stderr, "");
  const report: { summary: { violations: { rule: { name: string }; from: string }[] } } = JSON.parse(run.stdout);
  return new Set(report.summary.violations.map((v) => `${v.rule.name} ${v.from}`));
}

test("the import check accepts the documented direction", () => {
  assert.deepEqual(cruise(files), new Set());
});

test("the import check refuses each import against the documented direction", () => {
  const broken: Record<string, string[]> = { "src/utils/odds.ts": [], ...structuredClone(files) };
  for (const [file, specifier] of violations) broken[file]?.push(specifier);
  const said = cruise(broken);
  for (const [file, specifier, rule] of violations) {
    assert.ok(said.has(`${rule} ${file}`), `${file} importing ${specifier} breaks ${rule}`);
  }
});
