import type { FileSystem } from "./file-system.ts";

/** The first `sizeMax` bytes of a small file as UTF-8, of which nothing more is allocated; undefined when there is none. */
export function readText(fs: FileSystem, path: string, sizeMax: number): string | undefined {
  const file = fs.openIfExists(path);
  if (file === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(Math.min(fs.size(file), sizeMax));
    return bytes.toString("utf8", 0, fs.read(file, bytes, 0, bytes.length, 0));
  } finally {
    fs.close(file);
  }
}
