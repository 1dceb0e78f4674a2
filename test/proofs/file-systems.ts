import { spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { run } from "../support/mounts.ts";

const MIB = 1024 ** 2;

export interface FileSystemKind {
  readonly type: string;
  /** Of a disk for it; some refuse small ones. */
  readonly bytes: number;
  readonly make: readonly [program: string, ...arguments_: string[]];
  /** For `mount`. Those that write by themselves do so often, so that more is on its way when the power is cut. */
  readonly options: string;
  /** The Debian package that has the program. */
  readonly debianPackage: string;
}

const ext4: FileSystemKind = {
  type: "ext4",
  bytes: 128 * MIB,
  make: ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"],
  options: "commit=1",
  debianPackage: "e2fsprogs",
};

export const fileSystems: Readonly<Record<string, FileSystemKind>> = {
  ext4,
  "ext4 data=writeback": { ...ext4, options: "commit=1,data=writeback" },
  xfs: {
    type: "xfs",
    bytes: 300 * MIB,
    make: ["mkfs.xfs", "-q", "-f", "-K"],
    options: "rw",
    debianPackage: "xfsprogs",
  },
  btrfs: {
    type: "btrfs",
    bytes: 256 * MIB,
    make: ["mkfs.btrfs", "-q", "-f", "-K"],
    options: "commit=1,nodiscard",
    debianPackage: "btrfs-progs",
  },
};

function isInstalled([program]: FileSystemKind["make"]): boolean {
  return spawnSync(program, ["-V"], { stdio: "ignore" }).error === undefined;
}

/** The Debian packages that are missing. */
export function missingPackages(): string[] {
  const missing = Object.values(fileSystems).filter(({ make }) => !isInstalled(make));
  return [...new Set(missing.map(({ debianPackage }) => debianPackage))];
}

/** Why disks with this file system cannot be made here; false if they can. */
export function whyNot({ type, make, debianPackage }: FileSystemKind): string | false {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs Linux, and root to mount disks";
  const kernel = readFileSync("/proc/filesystems", "utf8").split(/\s+/);
  const missing = [type, "fuse"].filter((name) => !kernel.includes(name));
  if (missing.length > 0) return `this kernel has no ${missing.join(", ")}`;
  if (!isInstalled(make)) return `needs ${make[0]} of the package ${debianPackage}: npm run setup:debian`;
  if (!run("losetup", ["--find"])) return "needs a loop device, which not every container has";
  return false;
}

/** An empty file system in a file. */
export function makeImage({ bytes, make: [program, ...options] }: FileSystemKind, image: string): void {
  const file = openSync(image, "w");
  ftruncateSync(file, bytes);
  closeSync(file);
  mustRun(program, [...options, image]);
}

/** @throws Error with what the program said */
export function mustRun(program: string, args: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (error !== undefined || status !== 0)
    throw new Error(`${program} ${args.join(" ")} failed: ${error?.message ?? stderr}`);
  return stdout.trim();
}
