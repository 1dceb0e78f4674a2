import { spawnSync } from "node:child_process";
import type { TestContext } from "node:test";
import { beforeRemoval, temporaryFolder } from "./folders.ts";

const MIB = 1024 ** 2;

export interface Mount {
  readonly folder: string;
  /** Makes it read-only, or writable again. */
  remount(mode: "ro" | "rw"): void;
}

/** True if it succeeded. */
export function run(program: string, args: readonly string[]): boolean {
  const { error, status } = spawnSync(program, args, { stdio: "ignore" });
  return error === undefined && status === 0;
}

/** A small file system of its own; undefined, and the test is skipped, where that is not allowed. */
export function smallDisk(t: TestContext, mebibytes: number): Mount | undefined {
  const folder = temporaryFolder();
  if (process.getuid?.() !== 0 || !run("mount", ["-t", "tmpfs", "-o", `size=${mebibytes * MIB}`, "tmpfs", folder])) {
    t.skip("only root may mount a file system, and not in every container");
    return undefined;
  }
  beforeRemoval(() => run("umount", ["-l", folder]));
  return {
    folder,
    remount(mode) {
      if (!run("mount", ["-o", `remount,${mode}`, folder])) throw new Error(`cannot remount ${folder} ${mode}`);
    },
  };
}
