import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

const MEMORY_FOLDER = "/dev/shm";
const MEMORY_FREE_MIN = 1024 ** 3;
const made: string[] = [];
const works: (() => void)[] = [];

/** Where scratch files go: to `TSDOS_TEST_FOLDER`, or into memory where that is possible. */
export function scratchParent(): string {
  const given = process.env["TSDOS_TEST_FOLDER"];
  if (given !== undefined) return given;
  try {
    accessSync(MEMORY_FOLDER, constants.W_OK);
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER);
    return bavail * bsize >= MEMORY_FREE_MIN ? MEMORY_FOLDER : tmpdir();
  } catch {
    return tmpdir();
  }
}

/** A new empty folder that is removed after the test, or the tests of the file; in memory where that is possible. */
export function temporaryFolder(): string {
  if (made.length === 0) after(removeAll);
  const folder = mkdtempSync(join(scratchParent(), "tsdos-test-"));
  made.push(folder);
  return folder;
}

/** Has `work` done before the temporary folders are removed, and before what was to be done so earlier. */
export function beforeRemoval(work: () => void): void {
  works.push(work);
}

function removeAll(): void {
  for (const work of works.splice(0).reverse()) work();
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
}
