import { madeOfNative, type NumberFunction } from "../native.ts";

/** Calls of the system that Node has none for. Each answers -1, and {@link errno} why, when it fails. */
export interface Libc {
  /** Answers the address. */
  mmap(at: Uint8Array, length: number, protection: number, flags: number, file: number, position: number): number;
  /** In a thread of the runtime; `at` as `pageMemory` gives it. */
  madvise(at: Uint8Array, length: number, advice: number): Promise<number>;
  /** Says in `pages`, of each page, whether a page fault finds it, and need not read it: 1 or 0. */
  mincore(at: Uint8Array, length: number, pages: Uint8Array): number;
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

/** Undefined where `madeOfNative` has no functions to give. */
export const libc: () => Libc | undefined = madeOfNative((calls): Libc => {
  const syscall = calls.func<(...values: [number, number, BigUint64Array, BigUint64Array, number]) => number>(
    "long syscall(long, int, void *, void *, unsigned int)",
  );
  const madvise: NumberFunction = calls.func("int madvise(int64_t, size_t, int)");
  return {
    mmap: calls.func("int64_t mmap(void *, size_t, int, int, int, int64_t)"),
    madvise: (at, length, advice) => calls.beside(madvise, [at], calls.addressOf(at), length, advice),
    mincore: calls.func("int mincore(void *, size_t, void *)"),
    fallocate: calls.func("int fallocate(int, int, int64_t, int64_t)"),
    syncFileRange: calls.func("int sync_file_range(int, int64_t, int64_t, unsigned int)"),
    cachestat: (file, range, counts) => Number(syscall(SYS_CACHESTAT, file, range, counts, 0)),
    errno: () => calls.errno(),
    pageSize: calls.func<() => number>("int getpagesize()")(),
  };
});
