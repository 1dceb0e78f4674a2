/** Syncs something of a pack. A failure is remembered: the next sync would succeed, and what was lost would stay lost. */
export function syncOrSuspect(suspect: Set<number>, packId: number, sync: () => void): void {
  try {
    sync();
  } catch (error) {
    suspect.add(packId);
    throw error;
  }
}
