import { spawnSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

/** As {@link smallDisk}, with exFAT: no hard links, no links, no permissions, and `a` and `A` are one name. Needs exfatprogs and exfat-fuse. */
export function exfatDisk(t: TestContext, mebibytes: number): string | undefined {
  const parent = temporaryFolder();
  const [image, folder] = [join(parent, "image"), join(parent, "disk")];
  mkdirSync(folder);
  writeFileSync(image, "");
  truncateSync(image, mebibytes * MIB);
  const device = process.getuid?.() === 0 && run("mkfs.exfat", [image]) ? loopDevice(image) : undefined;
  if (device !== undefined) beforeRemoval(() => run("losetup", ["-d", device]));
  if (device === undefined || !run("mount.exfat-fuse", [device, folder])) {
    t.skip("needs root, exfatprogs, exfat-fuse, and leave to mount");
    return undefined;
  }
  beforeRemoval(() => run("umount", ["-l", folder]));
  return folder;
}

function loopDevice(image: string): string | undefined {
  const { status, stdout } = spawnSync("losetup", ["--find", "--show", image], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}
