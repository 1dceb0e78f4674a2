import { isTsdosError } from "../../errors.ts";
import { LOOSE_FOLDER, loosePath } from "../../format/paths.ts";
import type { ObjectKey } from "../../key/object-key.ts";
import type { LooseStore } from "../../store/loose-store.ts";
import { counted } from "./send-file.ts";
import type { Sending } from "./sending.ts";
import type { FileOffer } from "./target.ts";

/** Objects that are offered at once. */
const OFFER_MAX = 4096;

/**
 * Backs up the loose objects. Those that go away meanwhile were packed, and are found in the tables of contents that are read
 * afterwards, or were deleted. What cannot be read is told, and left out, unless the target has it.
 */
export async function sendLoose(sending: Sending): Promise<void> {
  const { store, unreadable } = sending;
  const { loose } = store;
  const prefixLength = store.packed.context.config.loosePrefixLen;
  let offers: LooseOffer[] = [];
  for (const keys of loose.sortedKeys(unreadable.passOverFolder)) {
    for (const key of keys) {
      const size = listedSizeOf(sending, key);
      if (size === undefined) continue;
      offers.push({ key, path: loosePath(LOOSE_FOLDER, prefixLength, key), size, sha256: key });
      if (offers.length < OFFER_MAX) continue;
      await sendBatch(sending, loose, offers);
      offers = [];
    }
    await sending.tally.breathe();
  }
  if (offers.length > 0) await sendBatch(sending, loose, offers);
}

function listedSizeOf({ store: { loose }, unreadable }: Sending, key: ObjectKey): number | undefined {
  try {
    return loose.listedSizeOf(key);
  } catch (error) {
    return unreadable.passOver(error, key);
  }
}

interface LooseOffer extends FileOffer {
  readonly key: ObjectKey;
}

async function sendBatch(sending: Sending, loose: LooseStore, offers: LooseOffer[]): Promise<void> {
  const { target, tally, unreadable, dryRun } = sending;
  const wanted = new Set(await target.offer(offers.map(({ path, size, sha256 }) => ({ path, size, sha256 }))));
  for (const [i, { key, path, size }] of offers.entries()) {
    await tally.breathe();
    if (!wanted.has(i)) {
      tally.linked(size);
      tally.objects++;
      continue;
    }
    if (dryRun) {
      tally.copiedBytes += size;
    } else {
      const before = tally.copiedBytes;
      try {
        // Verified: the last piece is given out only when all has the hash.
        const reader = loose.reader(key, { verify: "hash" });
        if (reader === undefined) continue;
        await target.put({ path }, counted(sending, reader.chunks(0, reader.rawSize, true)));
      } catch (error) {
        tally.copiedBytes = before;
        if (isTsdosError(error, "CORRUPT_OBJECT")) tally.report(error);
        else if (!isTsdosError(error, "NOT_FOUND")) unreadable.passOver(error, key);
        else if (loose.mayBe(key)) throw error;
        continue;
      }
    }
    tally.copiedFiles++;
    tally.objects++;
  }
}
