import fs from "node:fs";
import { availableParallelism } from "node:os";
import { pageMemory } from "../copy-memory.ts";
import type { SmallFileReader } from "../file-system.ts";
import { isForRings } from "./file-system-kind.ts";
import { type RingCalls, ringCalls, type SharedMemory } from "./ring-calls.ts";

/** Files that are read at once. Fewer cost more calls, more come too late for who waits for the first ones. */
const WIDTH = 256;
/** Bytes of a line of the processor's cache. */
const LINE_SIZE = 64;
/** Bytes for a path below the folder, on average, with its end. */
const PATH_SIZE = 80;

// Linux, include/uapi/linux/io_uring.h
const IORING_OFF_SQ_RING = 0;
const IORING_OFF_SQES = 0x1000_0000;
/** The two queues are mapped together; since Linux 5.4. */
const IORING_FEAT_SINGLE_MMAP = 1;
const IORING_ENTER_GETEVENTS = 1;
const IORING_REGISTER_FILES2 = 13;
/** Room for files that are not open yet; since Linux 5.19, which also knows all the rest. */
const IORING_RSRC_REGISTER_SPARSE = 1;
const IORING_OP_OPENAT = 18;
const IORING_OP_CLOSE = 19;
const IORING_OP_READ = 22;
/** Not of the process, but of the ring: nobody else sees it, and a process has no limit for those. */
const IOSQE_FIXED_FILE = 1;
/** The next request waits for this one, and is cancelled when it fails; or is not, by a hard link (fewer bytes read than asked for). */
const IOSQE_IO_LINK = 4;
const IOSQE_IO_HARDLINK = 8;
/** struct io_uring_params: where its members stand, and those of `sq_off` and `cq_off` in it. */
const PARAMS = { size: 120, sqEntries: 0, cqEntries: 4, features: 20, cqHead: 80, cqTail: 84, cqes: 100 } as const;
const PARAMS_SQ = { head: 40, tail: 44, array: 64 } as const;
/** struct io_uring_rsrc_register: bytes, and where its members stand. */
const REGISTER = { size: 32, count: 0, flags: 4 } as const;
/** Bytes of struct io_uring_sqe and io_uring_cqe. */
const SQE_SIZE = 64;
const CQE_SIZE = 16;
/** Where members of struct io_uring_sqe stand, in units of 4 bytes. */
const SQE = { opcodeAndFlags: 0, file: 1, address: 4, length: 6, openFlags: 7, userData: 8, fileIndex: 11 } as const;
/** The same of struct io_uring_cqe. */
const CQE = { userData: 0, result: 2 } as const;

/** Of each file: to open, to read and to close it. Each request is answered, whatever happens. */
const REQUESTS = 3;
const READ = 1;

/** Calls of the kernel after which nothing has gone on, until the ring is given up: it was interrupted, or has no memory just now. */
const IDLE_CALLS_MAX = 16;

/** No pipe is waited for that somebody has put there. */
const OPEN_FLAGS: number = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);

/** What the kernel may still write to, for ever: of rings that were given up. */
const lost: unknown[] = [];

/**
 * Reads small files by io_uring, in a thread of the runtime: one call of the kernel opens, reads and closes {@link WIDTH} files.
 * The requests are written once; what changes are the paths.
 */
export class FileRing implements SmallFileReader {
  readonly width: number = WIDTH;
  readonly #calls: RingCalls;
  readonly #ring: number;
  readonly #folder: number;
  readonly #queues: Queues;
  /** For the files, and behind them for their paths. */
  readonly #memory: Buffer;
  /** Bytes of it for a file. */
  readonly #slotSize: number;
  readonly #paths: Buffer;
  readonly #pathsAddress: number;
  readonly #sizes = new Int32Array(WIDTH);
  /** Requests that the kernel was given, and has not answered. */
  #unanswered = 0;

  private constructor(calls: RingCalls, opened: Opened, folder: number, memory: ArrayBuffer, slotSize: number) {
    this.#calls = calls;
    this.#ring = opened.ring;
    this.#queues = opened.queues;
    this.#folder = folder;
    this.#memory = Buffer.from(memory);
    this.#slotSize = slotSize;
    this.#paths = this.#memory.subarray(WIDTH * slotSize);
    this.#pathsAddress = calls.addressOf(this.#paths);
  }

  /**
   * For files of up to `sizeMax` bytes. `flags`: more of those that a file is opened with. Undefined where it cannot be had (another
   * system than Linux 5.19 or later on a usual processor, no `koffi`, io_uring not allowed) or gains nothing.
   */
  static open(path: string, sizeMax: number, flags: number): FileRing | undefined {
    // What another thread does on the only processor, this one could do.
    const folder = availableParallelism() < 2 ? undefined : openFolder(path);
    if (folder === undefined) return undefined;
    const ring = isForRings(folder) ? FileRing.#make(folder, sizeMax, flags) : undefined;
    if (ring === undefined) fs.closeSync(folder);
    return ring;
  }

  static #make(folder: number, sizeMax: number, flags: number): FileRing | undefined {
    const calls = ringCalls();
    // One byte more, and an odd number of lines, so that the beginnings of all do not compete for the same places in the cache.
    const slotSize = (Math.ceil((sizeMax + 1) / LINE_SIZE) | 1) * LINE_SIZE;
    const memory = calls && pageMemory(WIDTH * (slotSize + PATH_SIZE));
    if (calls === undefined || memory === undefined) return undefined;
    const opened = openRing(calls);
    if (opened === undefined) return undefined;
    const made = new FileRing(calls, opened, folder, memory, slotSize);
    made.#prepare(OPEN_FLAGS | flags);
    return made;
  }

  /** Writes the requests, but for the paths. */
  #prepare(openFlags: number): void {
    const { requests } = this.#queues;
    const address = this.#calls.addressOf(this.#memory);
    for (let i = 0; i < WIDTH; i++) {
      // Numbers of the ring's files; where one is opened or closed, they begin with 1.
      const open = i * REQUESTS * (SQE_SIZE / 4);
      requests[open + SQE.opcodeAndFlags] = IORING_OP_OPENAT | (IOSQE_IO_LINK << 8);
      requests[open + SQE.file] = this.#folder;
      requests[open + SQE.openFlags] = openFlags;
      requests[open + SQE.fileIndex] = i + 1;
      const read = open + SQE_SIZE / 4;
      requests[read + SQE.opcodeAndFlags] = IORING_OP_READ | ((IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK) << 8);
      requests[read + SQE.file] = i;
      setAddress(requests, read, address + i * this.#slotSize);
      requests[read + SQE.length] = this.#slotSize;
      const close = read + SQE_SIZE / 4;
      requests[close + SQE.opcodeAndFlags] = IORING_OP_CLOSE;
      requests[close + SQE.fileIndex] = i + 1;
      for (let j = 0; j < REQUESTS; j++) requests[open + j * (SQE_SIZE / 4) + SQE.userData] = i * REQUESTS + j;
    }
  }

  async read(paths: readonly string[]): Promise<(Buffer | undefined)[]> {
    if (this.#unanswered > 0) throw new Error("the ring reads already, or was given up");
    const text = `${paths.join("\0")}\0`;
    if (paths.length > WIDTH || text.length > this.#paths.length) return paths.map(() => undefined);
    this.#paths.write(text, "latin1");
    const { requests } = this.#queues;
    let at = this.#pathsAddress;
    for (let i = 0; i < paths.length; i++) {
      setAddress(requests, i * REQUESTS * (SQE_SIZE / 4), at);
      at += (paths[i] as string).length + 1;
    }
    this.#sizes.fill(-1);
    await this.#run(paths.length * REQUESTS);
    const slotSize = this.#slotSize;
    return paths.map((_, i) => {
      const size = this.#sizes[i] as number;
      // One that fills its place may go on.
      return size >= 0 && size < slotSize ? this.#memory.subarray(i * slotSize, i * slotSize + size) : undefined;
    });
  }

  /** Has the kernel do the first requests. */
  async #run(requests: number): Promise<void> {
    const queues = this.#queues;
    queues.submit(requests);
    this.#unanswered = requests;
    for (let idle = 0; this.#unanswered > 0; ) {
      const toSubmit = queues.unsubmitted;
      await this.#calls.enter(this.#ring, toSubmit, this.#unanswered, IORING_ENTER_GETEVENTS, [this.#memory]);
      const answers = queues.takeAnswers(this.#sizes);
      this.#unanswered -= answers;
      const hasGoneOn = answers > 0 || queues.unsubmitted < toSubmit;
      idle = hasGoneOn ? 0 : idle + 1;
      if (idle === IDLE_CALLS_MAX) throw new Error("io_uring does not go on");
    }
  }

  close(): void {
    if (this.#unanswered > 0) {
      lost.push(this);
      return;
    }
    this.#queues.unmap();
    fs.closeSync(this.#folder);
    this.#calls.close(this.#ring);
  }
}

/** The queues of requests and answers that are shared with the kernel. */
class Queues {
  readonly #rings: SharedMemory;
  readonly #places: SharedMemory;
  /** The requests, {@link SQE_SIZE} bytes each. */
  readonly requests: Int32Array;
  readonly #words: Int32Array;
  readonly #params: Buffer;

  constructor(params: Buffer, rings: SharedMemory, places: SharedMemory) {
    this.#params = params;
    this.#rings = rings;
    this.#places = places;
    this.#words = new Int32Array(rings.buffer);
    this.requests = new Int32Array(places.buffer);
  }

  /** Where a word stands that the kernel has told the place of. */
  #at(member: number): number {
    return this.#params.readUInt32LE(member) / 4;
  }

  /** Lets the kernel see that there are requests, the first ones. */
  submit(count: number): void {
    const words = this.#words;
    const mask = this.#params.readUInt32LE(PARAMS.sqEntries) - 1;
    const array = this.#at(PARAMS_SQ.array);
    const tailAt = this.#at(PARAMS_SQ.tail);
    const tail = words[tailAt] as number;
    for (let i = 0; i < count; i++) words[array + ((tail + i) & mask)] = i;
    Atomics.store(words, tailAt, tail + count);
  }

  /** Requests that the kernel has not taken. */
  get unsubmitted(): number {
    const head = Atomics.load(this.#words, this.#at(PARAMS_SQ.head));
    return ((this.#words[this.#at(PARAMS_SQ.tail)] as number) - head) | 0;
  }

  /** Takes the answers that there are: how many bytes were read of which file, or a number below 0; answers how many there were. */
  takeAnswers(sizes: Int32Array): number {
    const words = this.#words;
    const mask = this.#params.readUInt32LE(PARAMS.cqEntries) - 1;
    const headAt = this.#at(PARAMS.cqHead);
    const cqes = this.#at(PARAMS.cqes);
    const head = words[headAt] as number;
    const tail = Atomics.load(words, this.#at(PARAMS.cqTail));
    const count = (tail - head) | 0;
    for (let i = 0; i < count; i++) {
      const cqe = cqes + ((head + i) & mask) * (CQE_SIZE / 4);
      const request = words[cqe + CQE.userData] as number;
      if (request % REQUESTS === READ) sizes[(request - READ) / REQUESTS] = words[cqe + CQE.result] as number;
    }
    Atomics.store(words, headAt, tail);
    return count;
  }

  /** Nothing may be touched any more. */
  unmap(): void {
    this.#rings.unmap();
    this.#places.unmap();
  }
}

function setAddress(requests: Int32Array, request: number, address: number): void {
  // Of a number that is too large, its lowest 32 bits are stored.
  requests[request + SQE.address] = address;
  requests[request + SQE.address + 1] = address / 2 ** 32;
}

interface Opened {
  readonly ring: number;
  readonly queues: Queues;
}

/** Undefined when the system refuses any part of it. */
function openRing(calls: RingCalls): Opened | undefined {
  const params = Buffer.alloc(PARAMS.size);
  const ring = calls.setup(WIDTH * REQUESTS, params);
  if (ring < 0) return undefined;
  const queues = register(calls, ring) ? mapQueues(calls, ring, params) : undefined;
  if (queues !== undefined) return { ring, queues };
  calls.close(ring);
  return undefined;
}

function register(calls: RingCalls, ring: number): boolean {
  const argument = Buffer.alloc(REGISTER.size);
  argument.writeUInt32LE(WIDTH, REGISTER.count);
  argument.writeUInt32LE(IORING_RSRC_REGISTER_SPARSE, REGISTER.flags);
  return calls.register(ring, IORING_REGISTER_FILES2, argument, argument.length) >= 0;
}

function mapQueues(calls: RingCalls, ring: number, params: Buffer): Queues | undefined {
  const word = (at: number): number => params.readUInt32LE(at);
  if ((word(PARAMS.features) & IORING_FEAT_SINGLE_MMAP) === 0) return undefined;
  const requestsEnd = word(PARAMS_SQ.array) + word(PARAMS.sqEntries) * 4;
  const size = Math.max(requestsEnd, word(PARAMS.cqes) + word(PARAMS.cqEntries) * CQE_SIZE);
  const rings = calls.share(ring, size, IORING_OFF_SQ_RING);
  const places = rings && calls.share(ring, word(PARAMS.sqEntries) * SQE_SIZE, IORING_OFF_SQES);
  if (rings !== undefined && places !== undefined) return new Queues(params, rings, places);
  rings?.unmap();
  return undefined;
}

function openFolder(path: string): number | undefined {
  try {
    return fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  } catch {
    // Who reads it in the usual way is told why.
    return undefined;
  }
}
