import { spawn, spawnSync } from "node:child_process";
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Mutant } from "./mutants.ts";

const PROJECT = join(import.meta.dirname, "../..");
const LIMIT_MS = 900_000;

/** A copy of the sources and tests, to be changed. */
export function copySources(folder: string): void {
  for (const name of ["src", "test", "scripts", "docs", "package.json", "tsconfig.json"]) {
    cpSync(join(PROJECT, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(PROJECT, "node_modules"), join(folder, "node_modules"));
}

/** The file with the bug in it. */
export function mutated({ bug, file, find, replace }: Mutant): string {
  const source = readFileSync(join(PROJECT, file), "utf8");
  const found = source.split(find).length - 1;
  if (found !== 1) throw new Error(`${bug}: ${file} has the text ${found} times instead of once:\n${find}`);
  return source.replace(find, () => replace);
}

/** Puts the bug into the copy, runs `work` and takes it out again. The file must still load. */
export async function withMutant<T>(folder: string, mutant: Mutant, work: () => Promise<T>): Promise<T> {
  const path = join(folder, mutant.file);
  const original = readFileSync(path);
  writeFileSync(path, mutated(mutant));
  try {
    const { status, stderr } = spawnSync(process.execPath, ["--no-warnings", path], { encoding: "utf8" });
    if (status !== 0) throw new Error(`${mutant.bug}: ${mutant.file} does not even load:\n${stderr}`);
    return await work();
  } finally {
    writeFileSync(path, original);
  }
}

/** Runs test files in the copy until one test fails; says why it did. Undefined: all passed. */
export async function firstFailure(folder: string, files: readonly string[]): Promise<string | undefined> {
  const child = spawn(process.execPath, ["--test", "--test-reporter=tap", ...files], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
    // Tests that are killed leave their folders behind.
    env: { ...process.env, TSDOS_TEST_FOLDER: folder },
  });
  const stop = (): void => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  };
  const timer = setTimeout(stop, LIMIT_MS);
  let text = "";
  try {
    for await (const chunk of child.stdout) {
      text += String(chunk);
      const failure = /^ *not ok[\s\S]*?\n *error: (?:\|-\n *)?(.*)/m.exec(text);
      if (failure !== null) return `${failure[1]}`.slice(0, 200);
    }
    return /^# fail 0$/m.test(text) ? undefined : "it did not end";
  } finally {
    clearTimeout(timer);
    stop();
  }
}
