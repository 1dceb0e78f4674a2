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

export const isLocal = (file: number): boolean => LOCAL.includes(kindOf(file));
export const reserves = (file: number): boolean => RESERVING.includes(kindOf(file));

/** The number that says which file system an open file is on; -1 when that is not known. */
function kindOf(file: number): number {
  try {
    return fs.statfsSync(`/proc/self/fd/${file}`).type;
  } catch {
    return -1;
  }
}
