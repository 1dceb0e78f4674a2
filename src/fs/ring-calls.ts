import { madeOfNative, type NumberFunction } from "../native.ts";

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
  /** In a thread of the runtime: answers how many requests the kernel took. `held` is what it may read and write meanwhile. */
  enter(
    ring: number,
    toSubmit: number,
    toComplete: number,
    flags: number,
    held: readonly Uint8Array[],
  ): Promise<number>;
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

/** Undefined where `madeOfNative` has no functions to give. */
export const ringCalls: () => RingCalls | undefined = madeOfNative((calls): RingCalls => {
  const setup = calls.func<(call: number, entries: number, params: Uint8Array) => number>(
    "long syscall(long, uint32_t, void *)",
  );
  const register = calls.func<
    (call: number, ring: number, operation: number, argument: Uint8Array, count: number) => number
  >("long syscall(long, int, uint32_t, void *, uint32_t)");
  const enter: NumberFunction = calls.func("long syscall(long, int, uint32_t, uint32_t, uint32_t, int64_t, size_t)");
  const mmap: NumberFunction = calls.func("int64_t mmap(int64_t, size_t, int, int, int, int64_t)");
  const munmap: NumberFunction = calls.func("int munmap(int64_t, size_t)");
  const close: NumberFunction = calls.func("int close(int)");
  return {
    setup: (entries, params) => setup(SYS_IO_URING_SETUP, entries, params),
    register: (ring, operation, argument, count) => register(SYS_IO_URING_REGISTER, ring, operation, argument, count),
    enter: (ring, toSubmit, toComplete, flags, held) =>
      calls.beside(enter, held, SYS_IO_URING_ENTER, ring, toSubmit, toComplete, flags, 0, 0),
    share: (ring, length, position) => {
      const at = mmap(0, length, PROT_READ_WRITE, MAP_SHARED | MAP_POPULATE, ring, position);
      if (at === -1) return undefined;
      const unmap = (): void => void munmap(at, length);
      try {
        return { buffer: calls.view(at, length), unmap };
      } catch {
        // Some programs that Node is a part of allow no memory of others.
        unmap();
        return undefined;
      }
    },
    close: (ring) => void close(ring),
    addressOf: (memory) => calls.addressOf(memory),
  };
});
