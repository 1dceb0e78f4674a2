import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { freemem, tmpdir } from "node:os";
import { join } from "node:path";

const SHARED_MEMORY = "/dev/shm";
const IMAGE_SIZE = 16 * 2 ** 30;
const MEMORY_BLOCK = 2 ** 26;

/**
 * Where the benchmark works: a folder of its own for what is given to the programs, and a fresh file system for each
 * scenario. Nothing is deleted in it while programs run: creating files soon after a mass delete is many times slower
 * on some file systems.
 */
export class Scratch implements Disposable {
  readonly folder: string;
  /** What the containers are on, in words. */
  readonly description: string;
  readonly #loop: boolean;
  #mounted: string | undefined;
  #count = 0;

  /** `given`: a folder to work in, in place of a file system in memory. */
  constructor(given: string | undefined) {
    const memory = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : undefined;
    this.folder = mkdtempSync(join(given ?? memory ?? tmpdir(), "tsdos-bench-"));
    this.#loop = given === undefined && memory !== undefined && process.getuid?.() === 0;
    if (this.#loop) this.description = "a fresh ext4 with a journal for each scenario, loop-mounted from memory";
    else if (given !== undefined) this.description = "a fresh folder for each scenario in the folder given by --dir";
    else
      this.description = `a fresh folder for each scenario in ${memory === undefined ? "the temporary folder" : "tmpfs"}`;
  }

  /** A fresh, empty folder; the one before it, if it is a file system of its own, is gone then. */
  fresh(): string {
    const folder = join(this.folder, `fs${this.#count++}`);
    mkdirSync(folder);
    if (!this.#loop) return folder;
    this.#unmount();
    const image = join(this.folder, "image");
    writeFileSync(image, "");
    truncateSync(image, IMAGE_SIZE);
    execFileSync("mkfs.ext4", ["-q", "-F", image]);
    // Without the option the kernel goes on preparing inode tables while the programs are measured.
    execFileSync("mount", ["-o", "loop,noinit_itable", image, folder]);
    this.#mounted = folder;
    setDirtyShare(folder, 30);
    return folder;
  }

  /**
   * Makes the next step independent of the one before it: what was written is on the file system, and `memory` bytes of
   * the free memory are fit for use. A virtual machine gives free memory back to its host, and is then slow to use it:
   * here a gibibyte of such memory takes two seconds to touch, and only a third of one otherwise.
   */
  settle(memory: number): void {
    execFileSync("sync", ["-f", this.#mounted ?? this.folder]);
    const blocks = Math.ceil(Math.min(memory, freemem() / 2) / MEMORY_BLOCK);
    const touch = `Array.from({ length: ${blocks} }, () => Buffer.alloc(${MEMORY_BLOCK}, 1))`;
    execFileSync(process.execPath, ["-e", touch]);
  }

  [Symbol.dispose](): void {
    this.#unmount();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #unmount(): void {
    if (this.#mounted === undefined) return;
    setDirtyShare(this.#mounted, 0);
    execFileSync("umount", [this.#mounted]);
    this.#mounted = undefined;
    rmSync(join(this.folder, "image"));
  }
}

/**
 * Grants the device that a folder is on a least share of the dirty pages that the kernel allows, in per cent, where that
 * may be done. A device begins with none: on a fresh one a gibibyte takes five times as long to write or not, by chance.
 */
function setDirtyShare(folder: string, percent: number): void {
  const { dev } = statSync(folder);
  try {
    writeFileSync(`/sys/class/bdi/${dev >> 8}:${dev & 0xff}/min_ratio`, String(percent));
  } catch (error) {
    console.error(`Large files may be slow to write at times: ${error}`);
  }
}
