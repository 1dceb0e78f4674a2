import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Inputs that once were taken wrongly: a folder for each target, a file for each input. */
const FOLDER = join(import.meta.dirname, "corpus");

interface CorpusCase {
  readonly target: string;
  readonly name: string;
  readonly input: Uint8Array;
}

export function readCorpus(): CorpusCase[] {
  return readdirSync(FOLDER).flatMap((target) =>
    readdirSync(join(FOLDER, target)).map((name) => ({
      target,
      name,
      input: readFileSync(join(FOLDER, target, name)),
    })),
  );
}

/** Keeps an input as a regression test; returns its path. */
export function addToCorpus(target: string, input: Uint8Array): string {
  const folder = join(FOLDER, target);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, createHash("sha256").update(input).digest("hex").slice(0, 16));
  writeFileSync(path, input);
  return path;
}
