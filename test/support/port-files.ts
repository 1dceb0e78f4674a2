import type { FileSystem } from "../../src/file-system.ts";

/** Whole files, and changes of them, in any file system. */
export function readFile(fs: FileSystem, path: string): Buffer {
  const file = fs.open(path, "read");
  const bytes = Buffer.alloc(fs.size(file));
  fs.read(file, bytes, 0, bytes.length, 0);
  fs.close(file);
  return bytes;
}

/** Makes a file, in place of the one that may be there. */
export function writeFile(fs: FileSystem, path: string, bytes: Uint8Array): void {
  fs.remove(path);
  fs.close(fs.open(path, "create"));
  overwrite(fs, path, 0, bytes);
}

export function overwrite(fs: FileSystem, path: string, position: number, bytes: Uint8Array): void {
  const file = fs.open(path, "update");
  fs.write(file, bytes, 0, bytes.length, position);
  fs.close(file);
}

export function append(fs: FileSystem, path: string, bytes: Uint8Array): void {
  const file = fs.open(path, "update");
  fs.write(file, bytes, 0, bytes.length, fs.size(file));
  fs.close(file);
}

export function truncate(fs: FileSystem, path: string, size: number): void {
  const file = fs.open(path, "update");
  fs.truncate(file, size);
  fs.close(file);
}

export function flipByte(fs: FileSystem, path: string, position: number): void {
  const byte = readFile(fs, path).subarray(position, position + 1);
  byte[0] = (byte[0] as number) ^ 0x55;
  overwrite(fs, path, position, byte);
}
