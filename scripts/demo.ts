// The main job on real input: stores every file of a tree, packs, reads everything back and compares each file with
// its source byte for byte. See `usage`.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { Container } from "../src/index.ts";
import { compareFiles, storeFiles } from "./demo/round-trip.ts";
import { collectTree, type SourceFile, type Tree } from "./demo/tree.ts";

// As the command line does: or V8's young generation takes up to 128 MB, whatever there is to do.
setFlagsFromString("--semi-space-growth-factor=1");

/** The default tree holds at least so many files, and never more than the second number. */
const ENOUGH_FILES = 10_000;
const MOST_FILES = 50_000;
const SHOWN_PATHS = 10;

const usage = `Usage: npm run demo [-- FOLDER... [--keep DIR]]

Stores every regular file of the folders in a fresh container, packs it, reads everything back and compares.
--keep DIR  makes the container in DIR and leaves it there.
Without a FOLDER: this project's node_modules and, until there are ${count(ENOUGH_FILES)} files, /usr/share and /usr/lib.`;

function count(n: number): string {
  return n.toLocaleString("en-US");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} MB`;
}

function printRow(name: string, text: string): void {
  console.log(`  ${name.padEnd(13)}${text}`);
}

function printPaths(title: string, files: readonly SourceFile[]): void {
  if (files.length === 0) return;
  console.log(`${title}: ${count(files.length)}`);
  for (const file of files.slice(0, SHOWN_PATHS)) console.log(`    ${file.path}`);
  if (files.length > SHOWN_PATHS) console.log("    ...");
}

/** Runs one step and prints its time and speed; `measure` says how much the result handled. */
async function step<T>(
  name: string,
  run: () => Promise<T>,
  measure: (result: T) => [items: number, bytes: number],
): Promise<T> {
  const start = performance.now();
  const result = await run();
  const seconds = (performance.now() - start) / 1000;
  const [items, bytes] = measure(result);
  const speeds = [
    `${seconds.toFixed(2)} s`,
    `${megabytes(bytes / seconds)}/s`,
    `${count(Math.round(items / seconds))} files/s`,
  ];
  printRow(name, speeds.map((text) => text.padStart(18)).join(""));
  return result;
}

function findTree(folders: readonly string[]): Tree {
  if (folders.length > 0)
    return collectTree(
      folders.map((folder) => resolve(folder)),
      Infinity,
      Infinity,
    );
  const own = join(import.meta.dirname, "../node_modules");
  return collectTree(
    [own, "/usr/share", "/usr/lib"].filter((folder) => existsSync(folder)),
    ENOUGH_FILES,
    MOST_FILES,
  );
}

/** Stores, packs, reads back and compares; returns whether every file came back. */
async function roundTrip(tree: Tree, path: string, signal: AbortSignal): Promise<boolean> {
  await using container = await Container.create(path);
  const stored = await step(
    "store",
    () => storeFiles(container, tree.files, signal),
    (result) => [result.files, result.bytes],
  );
  const packed = await step(
    "pack",
    () => container.pack({ signal }),
    (result) => [result.packedObjects, result.rawBytes],
  );
  const compared = await step(
    "read, compare",
    () => compareFiles(container, stored, signal),
    (result) => [result.same, stored.bytes],
  );
  const status = await container.status();
  const disk = status.packed.packFileBytes + status.packed.indexBytes;
  const objects = stored.filesByKey.size;
  console.log();
  printRow("files", count(stored.files));
  printRow("objects", count(objects));
  printRow("duplicates", count(stored.files - objects));
  printRow("bytes", megabytes(stored.bytes));
  printRow(
    "stored bytes",
    `${megabytes(disk)} (packs ${megabytes(status.packed.packFileBytes)}, index ${megabytes(status.packed.indexBytes)})`,
  );
  printRow("ratio", (stored.bytes / disk).toFixed(2));
  printRow("peak memory", megabytes(process.resourceUsage().maxRSS * 1024));
  console.log();
  printPaths("Could not be read, left out", stored.unreadable);
  printPaths("Changed meanwhile, not compared", compared.changed);
  printPaths("DIFFERENT", compared.different);
  const lost = stored.files - compared.same - compared.changed.length;
  if (lost === 0 && packed.damagedObjects === 0) {
    console.log(`All ${count(compared.same)} files came back byte for byte.`);
    return true;
  }
  console.log(`FAILED: ${count(lost)} files did not come back, ${count(packed.damagedObjects)} objects were damaged.`);
  return false;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { keep: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const tree = findTree(positionals);
  const { links, special, unreadable } = tree.skipped;
  console.log(`Storing ${count(tree.files.length)} files (${megabytes(tree.bytes)}) of ${tree.roots.join(" and ")}`);
  console.log(
    `Skipped: ${count(links)} symbolic links, ${count(special)} special files, ${count(unreadable)} unreadable`,
  );
  if (tree.files.length === 0) throw new Error("There is nothing to store.");
  const interruption = new AbortController();
  process.once("SIGINT", () => interruption.abort());
  const path = values.keep === undefined ? mkdtempSync(join(tmpdir(), "tsdos-demo-")) : resolve(values.keep);
  try {
    const ok = await roundTrip(tree, path, interruption.signal);
    if (values.keep !== undefined) console.log(`The container is in ${path}`);
    return ok ? 0 : 1;
  } catch (error) {
    if (interruption.signal.aborted) return 130;
    throw error;
  } finally {
    if (values.keep === undefined) rmSync(path, { recursive: true, force: true });
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
