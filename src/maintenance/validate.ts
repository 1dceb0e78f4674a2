import { randomInt } from "node:crypto";
import type { ValidationMode } from "../format/history.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { type Checkpoint, CheckpointFile } from "./checkpoint.ts";
import { DamageSearch } from "./damage-search.ts";
import { remainingProblems } from "./earlier-problems.ts";
import { LISTED_MAX, ProblemList } from "./findings.ts";
import { recordHistory } from "./history.ts";
import { markBefore, packStamps } from "./rewritten-packs.ts";
import type { Sample } from "./sample.ts";
import type { Problem, ValidateOptions, ValidateReport } from "./validate-reports.ts";

const SEEDS = 2 ** 32;

/**
 * Verifies the structure of a container, and reads and verifies its objects, all of them or some; changes nothing but the history
 * and the checkpoint. Takes no lock, and others may go on writing.
 */
export async function validate(store: CombinedStore, options: ValidateOptions): Promise<ValidateReport> {
  const mode = modeOf(options);
  const { context } = store.packed;
  const started = performance.now();
  const checkpoints = new CheckpointFile(context, options.checkpoint);
  checkpoints.refuseForeign();
  const asked = mode === "sample" ? { part: options.sample as number, ...seedOf(options) } : undefined;
  const before = options.resume ? checkpoints.read(mode, asked) : undefined;
  const sample = before === undefined ? asked && { seed: randomInt(SEEDS), ...asked } : before.sample;
  const search = new DamageSearch(store, { ...options, phase: "validate", sample, quick: mode === "quick" });
  const structure = new ProblemList();
  for await (const findings of search.structure()) for (const finding of findings) structure.add(finding);
  const problems = new ProblemList(before && (await earlierProblems(store, before, options)));
  const since = before?.since ?? new Date().toISOString();
  const packs = packStamps(store.packed);
  if (before !== undefined) {
    const mark = packs === undefined ? before.mark : markBefore(before.mark, before.packs, packs);
    Object.assign(search, { mark, objects: before.objects, bytes: before.bytes });
  }
  const checkpoint = (): Checkpoint => ({
    format: 1,
    containerId: context.config.containerId,
    mode,
    ...(sample && { sample }),
    since,
    mark: search.mark,
    ...(packs && { packs }),
    objects: search.objects,
    bytes: search.bytes,
    problems: problems.listed,
    problemCount: problems.count,
  });
  try {
    for await (const findings of search.contents()) {
      for (const finding of findings) problems.add(finding);
      if (checkpoints.due) checkpoints.write(checkpoint());
    }
  } catch (error) {
    checkpoints.write(checkpoint());
    throw error;
  }
  checkpoints.remove();
  const { objects, bytes, totalObjects, leftovers, leftoverFiles, leftoverBytes, threads } = search;
  const found = structure.count + problems.count;
  const durationMs = Math.round(performance.now() - started);
  const at = new Date().toISOString();
  recordHistory(context, { lastValidation: { at, mode, objects, bytes, problems: found, durationMs } });
  return {
    valid: found === 0,
    mode,
    objects,
    bytes,
    totalObjects,
    problems: [...structure.listed, ...problems.listed],
    problemCount: found,
    leftovers,
    leftoverFiles,
    leftoverBytes,
    ...(sample && { sample }),
    ...(before && { resumed: { since, objects: before.objects } }),
    threads,
    durationMs,
  };
}

/** The problems of the run that is resumed, but for those that are no longer there. */
async function earlierProblems(
  store: CombinedStore,
  { problems, problemCount }: Checkpoint,
  options: ValidateOptions,
): Promise<{ problems: readonly Problem[]; unlisted: number }> {
  const unlisted = problems.length < LISTED_MAX ? 0 : Math.max(0, problemCount - problems.length);
  return { problems: await remainingProblems(store, problems, options), unlisted };
}

function seedOf({ seed }: ValidateOptions): Partial<Sample> {
  if (seed === undefined) return {};
  if (!Number.isInteger(seed) || seed < 0 || seed >= SEEDS)
    throw new RangeError(`seed must be a whole number below 2^32, not ${seed}`);
  return { seed };
}

function modeOf({ quick, sample }: ValidateOptions): ValidationMode {
  if (sample === undefined) return quick ? "quick" : "full";
  if (!(sample > 0 && sample <= 1)) throw new RangeError(`sample must be above 0 and up to 1, not ${sample}`);
  if (quick) throw new RangeError("validate with quick or with sample, not with both");
  return "sample";
}
