// `node disk-main.ts FILE IMAGE BYTES` mounts a disk with a cache that forgets on the FILE, with the content of the IMAGE. It takes
// lines of JSON, `{image, survival, seed}`, and answers each when the power was cut into that image, or `{block}`, the bytes with which a
// block begins that cannot be read from then on, in base64; it ends when FILE is unmounted.
import { spawnSync } from "node:child_process";
import { openSync, read, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { numbers } from "../../src/testing/contents.ts";
import { answer, REQUEST_MAX } from "./fuse.ts";
import { type Survival, VolatileDisk } from "./volatile-disk.ts";

const [file, image, size] = process.argv.slice(2) as [string, string, string];
const disk = new VolatileDisk(image, Number(size));
const device = openSync("/dev/fuse", "r+");
const options = "fd=3,rootmode=100000,user_id=0,group_id=0,allow_other";
const mount = spawnSync("mount", ["-i", "-t", "fuse", "-o", options, "tsdos-disk", file], {
  stdio: ["ignore", "inherit", "inherit", device],
});
if (mount.status !== 0) process.exit(1);

/** Of a request that was taken back: by the kernel, or by whoever waited for it. */
const TAKEN_BACK: readonly unknown[] = ["EINTR", "ENOENT", "EAGAIN"];

function reply(bytes: Uint8Array): void {
  try {
    writeSync(device, bytes);
  } catch (error) {
    if (!TAKEN_BACK.includes((error as NodeJS.ErrnoException).code)) throw error;
  }
}

const request = Buffer.alloc(REQUEST_MAX);
function serve(): void {
  read(device, request, 0, request.length, null, (error, length) => {
    // It was unmounted.
    if (error?.code === "ENODEV") process.exit(0);
    if (error !== null && !TAKEN_BACK.includes(error.code)) throw error;
    const bytes = error === null ? answer(request.subarray(0, length), disk) : undefined;
    if (bytes !== undefined) reply(bytes);
    serve();
  });
}
serve();

interface Cut {
  readonly image: string;
  readonly survival: Survival;
  readonly seed: number;
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const asked = JSON.parse(line) as Cut | { readonly block: string };
  if ("block" in asked) {
    console.log(disk.spoil(Buffer.from(asked.block, "base64")));
    return;
  }
  // Nothing is written to the disk from here to the answer.
  const at = String(process.hrtime.bigint());
  const { unflushed } = disk;
  const survivors = disk.cut(asked.image, asked.survival, numbers(asked.seed));
  console.log(JSON.stringify({ at, unflushed, survivors }));
});
