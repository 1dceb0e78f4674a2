import fs from "node:fs";

// Linux, include/uapi/linux/magic.h
const EXT4 = 0xef53;
const XFS = 0x58465342;
const BTRFS = 0x9123683e;
const TMPFS = 0x01021994;
const OVERLAYFS = 0x794c7630;

/** Those of this machine: what a file has in memory stays what it is, whatever a network does. */
const LOCAL: readonly number[] = [EXT4, XFS, BTRFS, TMPFS, OVERLAYFS];
/** Those that are written faster when room was set aside. (btrfs would not compress what is written there, tmpfs would fill it twice.) */
const RESERVING: readonly number[] = [EXT4, XFS];
/** Those in which io_uring opens files at once. (For overlayfs it has threads of the kernel do it, which takes longer than without it.) */
const RINGED: readonly number[] = [EXT4, XFS, BTRFS, TMPFS];

export function isLocal(file: number): boolean {
  return fileSystemOf(file, LOCAL) !== undefined;
}

/** Whether io_uring is worth using for the files of an open folder. */
export function isForRings(folder: number): boolean {
  return fileSystemOf(folder, RINGED) !== undefined;
}

/** How many bytes are free where an open file is, for the most privileged user; undefined where setting room aside gains nothing. */
export function reservableBytes(file: number): number | undefined {
  const system = fileSystemOf(file, RESERVING);
  return system && system.bfree * system.bsize;
}

/** What the file system of an open file says of itself, if it is one of these kinds; undefined also when that cannot be had. */
function fileSystemOf(file: number, kinds: readonly number[]): fs.StatsFs | undefined {
  try {
    const system = fs.statfsSync(`/proc/self/fd/${file}`);
    return kinds.includes(system.type) ? system : undefined;
  } catch {
    return undefined;
  }
}
