import { createRequire } from "node:module";
import type Koffi from "koffi";

/** Calls of the system that Node has none for. Each answers -1, and {@link errno} why, when it fails. */
export interface Libc {
  /** Answers the address. */
  mmap(at: Uint8Array, length: number, protection: number, flags: number, file: number, position: number): number;
  fallocate(file: number, mode: number, position: number, length: number): number;
  syncFileRange(file: number, position: number, length: number, flags: number): number;
  /** Counts the pages of `range` (position, length) that are in memory, into `counts[0]`; since Linux 6.5. */
  cachestat(file: number, range: BigUint64Array, counts: BigUint64Array): number;
  errno(): number;
  /** Bytes. */
  readonly pageSize: number;
}

/** A call without a function of its own in the C library; the number is the same for every processor. */
const SYS_CACHESTAT = 451;
/** Those that the numbers in src/fs were looked up for. */
const PROCESSORS: readonly string[] = ["x64", "arm64"];

let known: { readonly libc: Libc | undefined } | undefined;

/**
 * Undefined where it cannot be had: on other systems than Linux, without the optional package `koffi`, or with `TSDOS_NATIVE=off`.
 * Loading it takes some 8 ms: for large objects only.
 */
export function libc(): Libc | undefined {
  known ??= { libc: load() };
  return known.libc;
}

function load(): Libc | undefined {
  // biome-ignore lint/style/noProcessEnv: to be turned off from outside when something is wrong with it
  const isOff = process.env.TSDOS_NATIVE === "off";
  if (isOff || process.platform !== "linux" || !PROCESSORS.includes(process.arch)) return undefined;
  try {
    const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
    // What this process has loaded already, whatever C library that is.
    const library = koffi.load(null);
    const syscall = library.func("long syscall(long, int, void *, void *, unsigned int)");
    return {
      mmap: library.func("int64_t mmap(void *, size_t, int, int, int, int64_t)"),
      fallocate: library.func("int fallocate(int, int, int64_t, int64_t)"),
      syncFileRange: library.func("int sync_file_range(int, int64_t, int64_t, unsigned int)"),
      cachestat: (file, range, counts) => Number(syscall(SYS_CACHESTAT, file, range, counts, 0)),
      errno: () => koffi.errno(),
      pageSize: library.func("int getpagesize()")() as number,
    };
  } catch {
    // It is not installed, or may not be loaded. All works without it.
    return undefined;
  }
}
