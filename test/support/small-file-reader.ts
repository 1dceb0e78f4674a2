import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { temporaryFolder } from "./folders.ts";

/** Bytes of the largest files that a ring is asked to read, and of a line of the processor's cache, of which it has an odd number. */
export const SIZE_MAX: number = 16 * 1024;
export const LINE_SIZE = 64;
/** Files of this many bytes and more are not read. */
export const SLOT_SIZE: number = SIZE_MAX + LINE_SIZE;

const probe = new NodeFileSystem().smallFileReader(temporaryFolder(), SIZE_MAX);
probe?.close();
/** Why tests of readers of small files are skipped here; false when they are not. */
export const skip: string | false =
  probe === undefined && "needs io_uring (Linux 5.19), koffi, two processors, and a usual file system";
