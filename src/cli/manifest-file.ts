import { UsageError } from "./exit-codes.ts";
import { readLines } from "./files.ts";
import { MANIFEST_HEADER, type ManifestEntry, parseManifestEntry } from "./manifest.ts";

/** The entries of a manifest, in batches. A line that is not one is an error that names the file and the line. */
export async function* readManifest(file: string, signal: AbortSignal): AsyncGenerator<readonly ManifestEntry[]> {
  let number = 0;
  for await (const lines of readLines(file, signal)) {
    const entries: ManifestEntry[] = [];
    for (const line of lines) {
      number++;
      if (number > 1) entries.push(parseLine(line, `${file}, line ${number}`));
      else if (line !== MANIFEST_HEADER)
        throw new UsageError(`${file} is not a manifest: it does not start with "${MANIFEST_HEADER}"`);
    }
    yield entries;
  }
  if (number === 0) throw new UsageError(`${file} is empty, not a manifest`);
}

function parseLine(line: string, where: string): ManifestEntry {
  try {
    return parseManifestEntry(line);
  } catch (error) {
    throw new UsageError(`${where}: ${(error as Error).message}`, { cause: error });
  }
}

/** Reads all of a manifest; returns how much there is to restore. */
export async function checkManifest(
  file: string,
  signal: AbortSignal,
): Promise<{ totalObjects: number; totalBytes: number }> {
  let totalObjects = 0;
  let totalBytes = 0;
  for await (const entries of readManifest(file, signal)) {
    for (const entry of entries) {
      if (entry.kind !== "file") continue;
      totalObjects++;
      totalBytes += entry.size;
    }
  }
  return { totalObjects, totalBytes };
}
