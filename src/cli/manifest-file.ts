import { isUtf8 } from "node:buffer";
import { UsageError } from "./exit-codes.ts";
import { readWholeLines } from "./files.ts";
import { MANIFEST_HEADER, type ManifestEntry, parseManifestEntry } from "./manifest.ts";
import { ManifestOrder } from "./manifest-order.ts";

/** The entries of a manifest, in batches. A line that is not one is an error that names the file and the line. */
export async function* readManifest(file: string, signal: AbortSignal): AsyncGenerator<readonly ManifestEntry[]> {
  const order = new ManifestOrder();
  let number = 0;
  for await (const bytes of readWholeLines(file, signal)) {
    if (!isUtf8(bytes)) throw new UsageError(`${file}, line ${number + badLine(bytes)}: it is not valid UTF-8`);
    const entries: ManifestEntry[] = [];
    const lines = bytes.toString().split("\n");
    const rest = lines.pop();
    if (number === 0 && (lines[0] ?? rest) !== MANIFEST_HEADER)
      throw new UsageError(`${file} is not a manifest: it does not start with "${MANIFEST_HEADER}"`);
    for (const line of lines) if (++number > 1) entries.push(parseLine(line, order, `${file}, line ${number}`));
    if (rest !== "") throw new UsageError(`${file}, line ${number + 1}: it has no line feed, the manifest was cut off`);
    yield entries;
  }
  if (number === 0) throw new UsageError(`${file} is empty, not a manifest`);
}

/** The number, from 1, of the first line that is not valid UTF-8. */
function badLine(bytes: Buffer): number {
  const lines = bytes.toString("latin1").split("\n");
  return 1 + lines.findIndex((line) => !isUtf8(Buffer.from(line, "latin1")));
}

function parseLine(line: string, order: ManifestOrder, where: string): ManifestEntry {
  try {
    const entry = parseManifestEntry(line);
    order.add(entry);
    return entry;
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
