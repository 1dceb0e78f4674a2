import type { FileSystem } from "../file-system.ts";
import { readRecord } from "../format/entry.ts";
import { packFileName, tocFileName } from "../format/paths.ts";
import { TocFile } from "./toc-file.ts";

/** True when a pack has all the bytes that its TOC speaks of, and nothing of that is damaged. Reads the whole TOC. */
export function isCompletePack(fs: FileSystem, folder: string, packId: number): boolean {
  const toc = new TocFile(fs, `${folder}/${tocFileName(packId)}`, packId);
  let end = 0;
  try {
    const damage = toc.readNew(0, 0, (bytes, at) => {
      const { offset, storedSize } = readRecord(bytes, at);
      end = Math.max(end, offset + storedSize);
    });
    return damage.length === 0 && (fs.stat(`${folder}/${packFileName(packId, 2)}`)?.size ?? -1) >= end;
  } finally {
    toc.close();
  }
}
