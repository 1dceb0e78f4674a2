import { createRequire } from "node:module";
import type Koffi from "koffi";
import type { LibraryHandle } from "koffi";

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
  return withKoffi((koffi, library) => {
    const syscall = library.func("long syscall(long, int, void *, void *, unsigned int)");
    return {
      mmap: library.func("int64_t mmap(void *, size_t, int, int, int, int64_t)"),
      fallocate: library.func("int fallocate(int, int, int64_t, int64_t)"),
      syncFileRange: library.func("int sync_file_range(int, int64_t, int64_t, unsigned int)"),
      cachestat: (file, range, counts) => Number(syscall(SYS_CACHESTAT, file, range, counts, 0)),
      errno: () => koffi.errno(),
      pageSize: library.func("int getpagesize()")() as number,
    };
  });
}

/** `library`: what this process has loaded already, whatever C library that is. Undefined where that cannot be had. */
function withKoffi<T>(make: (koffi: typeof Koffi, library: LibraryHandle) => T): T | undefined {
  // biome-ignore lint/style/noProcessEnv: to be turned off from outside when something is wrong with it
  const isOff = process.env.TSDOS_NATIVE === "off";
  if (isOff || process.platform !== "linux" || !PROCESSORS.includes(process.arch)) return undefined;
  try {
    const koffi = createRequire(import.meta.url)("koffi") as typeof Koffi;
    return make(koffi, koffi.load(null));
  } catch {
    // It is not installed, or may not be loaded. All works without it.
    return undefined;
  }
}

/** Memory that the kernel shares with this process. Whoever touches it after `unmap` ends the process. */
export interface SharedMemory {
  readonly buffer: ArrayBuffer;
  unmap(): void;
}

/** The calls of io_uring. Each answers -1 when it fails. */
export interface RingCalls {
  /** Answers the ring, which is a file. */
  setup(entries: number, params: Uint8Array): number;
  register(ring: number, operation: number, argument: Uint8Array, count: number): number;
  /** In a thread of the runtime: answers how many requests the kernel took. */
  enter(ring: number, toSubmit: number, toComplete: number, flags: number): Promise<number>;
  /** Undefined when it fails. */
  share(ring: number, length: number, position: number): SharedMemory | undefined;
  addressOf(memory: Uint8Array): number;
  /** Not by Node's `close`: in a thread, that warns of files which Node has not opened there. */
  close(ring: number): void;
}

// Linux, include/uapi/asm-generic/unistd.h: the same for every processor.
const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;
const SYS_IO_URING_REGISTER = 427;
// Linux, include/uapi/asm-generic/mman-common.h and mman.h
const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_POPULATE = 0x8000;

let knownRings: { readonly calls: RingCalls | undefined } | undefined;

/** As {@link libc}. */
export function ringCalls(): RingCalls | undefined {
  knownRings ??= { calls: withKoffi(loadRingCalls) };
  return knownRings.calls;
}

/**
 * What is passed to `enter` are numbers only: memory of typed arrays, which an asynchronous call would be given, may be elsewhere by
 * the time it is made.
 */
function loadRingCalls(koffi: typeof Koffi, library: LibraryHandle): RingCalls {
  const setup = library.func("syscall", "long", ["long", "uint32_t", "void *"]);
  const register = library.func("syscall", "long", ["long", "int", "uint32_t", "void *", "uint32_t"]);
  const numbers = ["long", "int", "uint32_t", "uint32_t", "uint32_t", "int64_t", "size_t"];
  const enter = library.func("syscall", "long", numbers);
  const mmap = library.func("void *mmap(void *, size_t, int, int, int, int64_t)");
  const close = library.func("int close(int)");
  const munmap = library.func("int munmap(void *, size_t)");
  return {
    setup: (entries, params) => Number(setup(SYS_IO_URING_SETUP, entries, params)),
    register: (ring, operation, argument, count) =>
      Number(register(SYS_IO_URING_REGISTER, ring, operation, argument, count)),
    enter: (ring, toSubmit, toComplete, flags) =>
      new Promise((resolve, reject) => {
        const done = (error: unknown, result: unknown): void => (error ? reject(error) : resolve(Number(result)));
        enter.async(SYS_IO_URING_ENTER, ring, toSubmit, toComplete, flags, 0, 0, done);
      }),
    share: (ring, length, position) => {
      const at: unknown = mmap(null, length, PROT_READ_WRITE, MAP_SHARED | MAP_POPULATE, ring, position);
      if (BigInt.asIntN(64, koffi.address(at)) === -1n) return undefined;
      const unmap = (): void => void munmap(at, length);
      try {
        return { buffer: koffi.view(at, length), unmap };
      } catch {
        // Some programs that Node is a part of allow no memory of others.
        unmap();
        return undefined;
      }
    },
    close: (ring) => void close(ring),
    addressOf: (memory) => Number(koffi.address(memory)),
  };
}
