import { codecIds, codecName, FLAG_NO_CHECKSUM } from "../format/entry.ts";
import { startChecksum } from "../format/stored-checksum.ts";
import { Pacer } from "./context.ts";
import type { PackWriter } from "./pack-writer.ts";
import type { PackedReader } from "./packed-reader.ts";
import { SMALL_MAX } from "./source.ts";

/**
 * Appends an object's stored bytes as they are, from a pack of this or of another container: nothing is decoded or hashed.
 * They keep their checksum, which is compared; without one (version 1) it is computed, and whether the bytes are right is for the
 * caller to find out, by the key. The reader may come from `readMany`, which reads neighbours together.
 * @returns false when the target's format, or this tsdos, has no name for how they are encoded: nothing was appended then, and the
 * content has to be stored anew
 * @throws TsdosError `CORRUPT_OBJECT` when the checksum is wrong or the pack ends too early: what was appended is taken back
 */
export async function copyStored(writer: PackWriter, reader: PackedReader, signal?: AbortSignal): Promise<boolean> {
  const { rawSize, storedSize, flags, dictionaryId } = reader.entry;
  const codec = codecIn(writer.formatVersion, reader);
  if (codec === undefined || dictionaryId !== 0) return false;
  const hasChecksum = (flags & FLAG_NO_CHECKSUM) === 0;
  const start = writer.begin();
  try {
    const computed = hasChecksum ? undefined : startChecksum(0);
    const pacer = storedSize > SMALL_MAX ? new Pacer() : undefined;
    const reading = reader.readStored((piece) => {
      signal?.throwIfAborted();
      computed?.update(piece);
      writer.append(piece);
      return pacer?.due ? pacer.pause() : undefined;
    });
    if (reading !== undefined) await reading;
    const known = computed === undefined ? { checksum: reader.entry.checksum, flags } : { checksum: computed.value() };
    writer.finish(reader.key, { rawSize, storedSize, codec, ...known });
    return true;
  } catch (error) {
    writer.rollback(start);
    throw error;
  }
}

/** The number that the encoding of an object's stored bytes has in the target; undefined when there is none. */
function codecIn(formatVersion: 1 | 2, reader: PackedReader): number | undefined {
  const { codec, rawSize, storedSize } = reader.entry;
  if (storedSize === 0 && rawSize === 0) return codecIds.none;
  if (codecName(codec) === undefined || (formatVersion === 2 && reader.isLegacyZstd())) return undefined;
  return formatVersion === 1 && codec > codecIds.zlib ? undefined : codec;
}
