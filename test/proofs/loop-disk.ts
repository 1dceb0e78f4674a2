import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LineProcess } from "../support/line-process.ts";
import { run } from "../support/mounts.ts";
import { type FileSystemKind, mustRun } from "./file-systems.ts";
import type { Survival } from "./volatile-disk.ts";

const MAIN = join(import.meta.dirname, "disk-main.ts");
const START_LIMIT_MS = 20_000;

export interface PowerCut {
  /** The moment, in nanoseconds of the system's monotonic clock. */
  readonly at: bigint;
  /** Writes that the disk had not been told to flush, and how many of them survived. */
  readonly unflushed: number;
  readonly survivors: number;
}

/** A loop device on a disk with a cache that forgets, and its file system, mounted. */
export class LoopDisk {
  /** Where it is mounted. */
  readonly folder: string;
  readonly #file: string;
  readonly #server: LineProcess;
  #device: string | undefined;

  private constructor(scratch: string, image: string, { bytes }: FileSystemKind) {
    this.folder = join(scratch, "mounted");
    mkdirSync(this.folder, { recursive: true });
    this.#file = join(scratch, "disk");
    writeFileSync(this.#file, "");
    this.#server = new LineProcess([process.execPath, MAIN, this.#file, image, String(bytes)]);
  }

  static async start(scratch: string, image: string, kind: FileSystemKind): Promise<LoopDisk> {
    const disk = new LoopDisk(scratch, image, kind);
    try {
      const end = performance.now() + START_LIMIT_MS;
      while (statSync(disk.#file).size !== kind.bytes) {
        if (performance.now() > end) throw new Error("the disk was not mounted");
        await sleep(5);
      }
      disk.#device = mustRun("losetup", ["--find", "--show", disk.#file]);
      mountDevice(kind, disk.#device, disk.folder);
      return disk;
    } catch (error) {
      await disk.stop();
      throw error;
    }
  }

  /** Writes what a power cut at this moment leaves, to an image; the disk goes on. */
  async cut(image: string, survival: Survival, seed: number): Promise<PowerCut> {
    const answer = (await this.#server.ask({ image, survival, seed })) as Omit<PowerCut, "at"> & { at: string };
    return { ...answer, at: BigInt(answer.at) };
  }

  /** The block of a file that begins with these bytes cannot be read from now on. The file must not be in memory. */
  async spoil(bytes: Uint8Array): Promise<void> {
    const isFound = await this.#server.ask({ block: Buffer.from(bytes).toString("base64") });
    if (isFound !== true) throw new Error("there is no such block");
  }

  async stop(): Promise<void> {
    run("umount", [this.folder]) || run("umount", ["-l", this.folder]);
    if (this.#device !== undefined) run("losetup", ["--detach", this.#device]);
    run("umount", [this.#file]) || run("umount", ["-l", this.#file]);
    await this.#server[Symbol.asyncDispose]();
  }
}

function mountDevice({ type, options }: FileSystemKind, device: string, folder: string): void {
  // Of the images of one file system it remembers the newest, and refuses the older ones.
  if (type === "btrfs") run("btrfs", ["device", "scan", "--forget"]);
  mustRun("mount", ["-t", type, "-o", options, device, folder]);
}

/** Mounts an image, which replays the file system's journal, for the time of the work. */
export async function withImage<T>(
  image: string,
  kind: FileSystemKind,
  folder: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  mkdirSync(folder, { recursive: true });
  const device = mustRun("losetup", ["--find", "--show", image]);
  try {
    mountDevice(kind, device, folder);
    try {
      return await work(folder);
    } finally {
      mustRun("umount", [folder]);
    }
  } finally {
    run("losetup", ["--detach", device]);
  }
}
