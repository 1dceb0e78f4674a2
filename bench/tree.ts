// `npm run bench:tree -- DIR`: stores a real tree by the command line, packs it, puts it back elsewhere, has `diff -r`
// compare the two, and tells times and sizes beside those of `git add` and `git gc` of the same tree.
import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values: options, positionals } = parseArgs({ allowPositionals: true, options: { dir: { type: "string" } } });
const [given] = positionals;
if (given === undefined || positionals.length !== 1) {
  throw new Error("Usage: npm run bench:tree -- DIR [--dir FOLDER_TO_WORK_IN]; for example the sources of Linux");
}
const tree = realpathSync(given);
const tsdos = join(import.meta.dirname, "../dist/cli/main.js");

/** Runs a program to its success; returns the seconds that it took. */
function run(program: string, args: readonly string[]): number {
  const start = performance.now();
  const { status, error } = spawnSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}`, { cause: error });
  return (performance.now() - start) / 1000;
}

/** Bytes and number of all files below a folder. */
function measure(folder: string): { files: number; bytes: number } {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.reduce((sum, { parentPath, name }) => sum + lstatSync(join(parentPath, name)).size, 0);
  return { files: files.length, bytes };
}

const parent = options.dir ?? tmpdir();
mkdirSync(parent, { recursive: true });
const work = mkdtempSync(join(parent, "tsdos-tree-"));
try {
  const container = join(work, "container");
  const manifest = join(work, "manifest");
  const restored = join(work, "restored");
  const inContainer = (...args: string[]): number => run(process.execPath, [tsdos, "--path", container, ...args]);
  run(process.execPath, [join(import.meta.dirname, "../scripts/build.ts")]);
  inContainer("init");
  const rows: [string, string][] = [];
  const row = (what: string, seconds: number): unknown => rows.push([what, `${seconds.toFixed(1)} s`]);
  const source = measure(tree);

  row("`tsdos add -r`", inContainer("add", "-r", tree, "--manifest", manifest));
  row("`tsdos pack`", inContainer("pack"));
  row("`tsdos restore`", inContainer("restore", "--manifest", manifest, restored));
  row("`diff -r`: no difference", run("diff", ["-r", "--no-dereference", tree, restored]));
  const stored = measure(container);

  const git = (...args: string[]): number =>
    run("git", [`--git-dir=${join(work, "git")}`, `--work-tree=${tree}`, ...args]);
  git("init", "--quiet");
  row("`git add`", git("-c", "core.autocrlf=false", "add", "--all", "--force", tree));
  row("`git gc`", git("gc", "--quiet"));
  const byGit = measure(join(work, "git"));

  console.log(`${source.files.toLocaleString("en-US")} files, ${mebibytes(source.bytes)}.\n`);
  console.log("| step | time |\n| --- | ---: |");
  for (const cells of rows) console.log(`| ${cells.join(" | ")} |`);
  console.log(`\nStored: tsdos ${mebibytes(stored.bytes)} in ${stored.files} files, git ${mebibytes(byGit.bytes)}.`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
