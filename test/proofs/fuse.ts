// The little of the kernel's FUSE protocol (include/uapi/linux/fuse.h) that a file system of one regular file needs.
// Integers are those of the processor; Node's platforms are little-endian.

const IN_HEADER = 40;
const OUT_HEADER = 16;
const MAJOR = 7;
const MINOR = 31;
const BIG_WRITES = 1 << 5;
const MAX_PAGES = 1 << 22;
const PAGE = 4096;
/** Reads and writes are not cached, so that each write of the loop device comes at once. */
const DIRECT_IO = 1;
const REGULAR_FILE = 0o100600;
const EIO = 5;
const ENOSYS = 38;

const WRITE_MAX = 1024 ** 2;
export const REQUEST_MAX: number = WRITE_MAX + PAGE;

const GETATTR = 3;
const SETATTR = 4;
const OPEN = 14;
const READ = 15;
const WRITE = 16;
const STATFS = 17;
const RELEASE = 18;
const FSYNC = 20;
const FLUSH = 25;
const INIT = 26;
/** FORGET, INTERRUPT, BATCH_FORGET: nobody waits for an answer. */
const WITHOUT_ANSWER: readonly number[] = [2, 36, 42];

/** The content of the file. */
export interface Disk {
  readonly size: number;
  /** Undefined where that cannot be read. */
  read(offset: number, length: number): Uint8Array | undefined;
  /** `bytes` are valid during the call. */
  write(offset: number, bytes: Uint8Array): void;
  /** What was written is durable when it returns. */
  flush(): void;
}

/** The answer to a request of the kernel; undefined when it expects none. */
export function answer(request: Buffer, disk: Disk): Buffer | undefined {
  const opcode = request.readUInt32LE(4);
  if (WITHOUT_ANSWER.includes(opcode)) return undefined;
  const body = bodyOf(opcode, request.subarray(IN_HEADER), disk);
  const header = Buffer.alloc(OUT_HEADER);
  const isError = typeof body === "number";
  header.writeUInt32LE(OUT_HEADER + (isError ? 0 : body.length));
  header.writeInt32LE(isError ? -body : 0, 4);
  request.copy(header, 8, 8, 16);
  return isError ? header : Buffer.concat([header, body]);
}

/** Or the number of the error. */
function bodyOf(opcode: number, body: Buffer, disk: Disk): Uint8Array | number {
  switch (opcode) {
    case INIT:
      return initialised();
    case GETATTR:
    case SETATTR:
      return attributes(disk.size);
    case OPEN: {
      const opened = Buffer.alloc(16);
      opened.writeUInt32LE(DIRECT_IO, 8);
      return opened;
    }
    case READ:
      return disk.read(Number(body.readBigUInt64LE(8)), body.readUInt32LE(16)) ?? EIO;
    case WRITE: {
      const size = body.readUInt32LE(16);
      disk.write(Number(body.readBigUInt64LE(8)), body.subarray(40, 40 + size));
      const written = Buffer.alloc(8);
      written.writeUInt32LE(size);
      return written;
    }
    case FSYNC:
      disk.flush();
      return Buffer.alloc(0);
    case FLUSH:
    case RELEASE:
      return Buffer.alloc(0);
    case STATFS:
      return Buffer.alloc(80);
    default:
      return ENOSYS;
  }
}

function initialised(): Buffer {
  const out = Buffer.alloc(64);
  out.writeUInt32LE(MAJOR, 0);
  out.writeUInt32LE(MINOR, 4);
  out.writeUInt32LE(BIG_WRITES | MAX_PAGES, 12);
  out.writeUInt16LE(16, 16);
  out.writeUInt16LE(12, 18);
  out.writeUInt32LE(WRITE_MAX, 20);
  out.writeUInt32LE(1, 24);
  out.writeUInt16LE(WRITE_MAX / PAGE, 28);
  return out;
}

function attributes(size: number): Buffer {
  const out = Buffer.alloc(104);
  // Valid for an hour; then the file's attributes.
  out.writeBigUInt64LE(3600n, 0);
  out.writeBigUInt64LE(1n, 16);
  out.writeBigUInt64LE(BigInt(size), 24);
  out.writeBigUInt64LE(BigInt(size / 512), 32);
  out.writeUInt32LE(REGULAR_FILE, 76);
  out.writeUInt32LE(1, 80);
  out.writeUInt32LE(PAGE, 96);
  return out;
}
