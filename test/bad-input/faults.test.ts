import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type ErrorCode, isTsdosError, TsdosError } from "../../src/errors.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { numbers } from "../../src/testing/contents.ts";
import { type Fault, type FileCall, InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { seeded } from "../support/seeded.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";
import { Acknowledged, mixedSteps, type Step, steps, stillWorks } from "../support/workload.ts";

const long = process.env["TSDOS_PROOF"] === "long";
const GROWING = new Set(["write", "makeDirectory", "rename", "link", "sync", "syncDirectory"]);
const OPENING = new Set(["open", "openIfExists", "list", "syncDirectory"]);

interface Kind {
  readonly code: ErrorCode;
  readonly mayFail: (call: FileCall) => boolean;
  /** At most so many calls are passed over between two that are tried, in the short form. */
  readonly stride: number;
}

const kinds: Readonly<Record<string, Kind>> = {
  // Only calls that need space run out of it. A write has written a part by then.
  ENOSPC: {
    code: "NO_SPACE",
    mayFail: ({ name, mode }) => GROWING.has(name) || (name === "open" && mode !== "read"),
    stride: 9,
  },
  // Closing what was only read does not fail.
  EIO: { code: "IO_ERROR", mayFail: ({ name, path }) => name !== "close" || path.includes("/sandbox/"), stride: 20 },
  EMFILE: { code: "IO_ERROR", mayFail: ({ name }) => OPENING.has(name), stride: 14 },
  "EIO of a sync": { code: "IO_ERROR", mayFail: ({ name }) => /^sync/.test(name), stride: 1 },
};
/** The fault happens once, or each time until the operation has ended. */
const modes = ["once", "for a while"] as const;
const settings = { packSizeTarget: 5000 };
const small = steps.filter(({ large }) => !large);
const counts = { faults: 0, trials: 0 };

for (const [errno, kind] of Object.entries(kinds)) {
  // A sync that fails matters most where it is to make good what was written without.
  const isSync = errno === "EIO of a sync";
  for (const step of isSync ? [...small, ...mixedSteps] : small) {
    seeded(
      `${errno} in the n-th call of "${step.name}" loses nothing and leaves nothing half-written`,
      async (seed) => {
        const next = numbers(seed);
        const { files, state } = await before(step);
        let failed = 0;
        for (const mode of modes) {
          for (let at = 1; ; at += long ? 1 : 1 + (next() % (kind.stride + 1))) {
            const trial = new Trial(
              { errno, kind, mode, at, next, lenient: mixedSteps.includes(step) },
              files.afterPowerCut(() => true),
              state.copy(),
            );
            counts.trials++;
            try {
              await trial.run(step);
            } catch (error) {
              throw new Error(`call ${at} (${trial.what}, ${mode}): ${(error as Error).message}`, { cause: error });
            }
            failed += trial.failed;
            if (trial.what === "none") break;
            counts.faults++;
          }
        }
        assert.ok(failed > 0 || /^flush|without sync$/.test(step.name), "nothing ever failed");
      },
    );
  }
}

test("in all", (t: TestContext) =>
  t.diagnostic(`${counts.faults} faults in ${counts.trials} runs of ${small.length + mixedSteps.length} operations`));

/** The files before a step, all durable, and what was acknowledged by then. */
async function before(step: Step): Promise<{ readonly files: MemoryFileSystem; readonly state: Acknowledged }> {
  const files = emptyMemoryFolder();
  const state = new Acknowledged();
  const stores = openOn(files, settings);
  for (const one of mixedSteps.includes(step) ? [] : small) {
    if (one === step) break;
    await one.run(stores, state);
  }
  stores.close();
  return { files, state };
}

interface Plan {
  readonly errno: string;
  readonly kind: Kind;
  readonly mode: (typeof modes)[number];
  /** The number of the call that fails, among those that may. */
  readonly at: number;
  readonly next: () => number;
  /** Objects that were written for the life of the process may be damaged after a power cut. */
  readonly lenient: boolean;
}

/** One run of an operation on a disk that fails. */
class Trial {
  failed = 0;
  /** The first call that failed. */
  what = "none";
  readonly #plan: Plan;
  readonly #memory: MemoryFileSystem;
  readonly #state: Acknowledged;
  #armed = true;
  #calls = 0;

  constructor(plan: Plan, memory: MemoryFileSystem, state: Acknowledged) {
    this.#plan = plan;
    this.#memory = memory;
    this.#state = state;
  }

  async run(step: Step): Promise<void> {
    const faulty = new InterceptedFileSystem(this.#memory, (call) => this.#fault(call));
    const lock = { holder: undefined };
    // What these leave is not durable, and must stay so until the step.
    const earlier = openOn(this.#memory, settings, lock);
    for (const one of mixedSteps.slice(0, Math.max(0, mixedSteps.indexOf(step)))) await one.run(earlier, this.#state);
    earlier.close();
    await this.#fails(step, () => openOn(faulty, settings, lock));
    const isTransient = this.#plan.mode === "once" && !this.what.startsWith("remove ");
    if (isTransient) assert.deepEqual(this.#memory.list(`${MEMORY_ROOT}/sandbox`), [], "temporary files were left");
    const stores = openOn(this.#memory, settings, lock);
    await this.#state.check(stores);
    await stillWorks(stores, this.#state);
    await clean(stores.combined, { sandboxAgeMs: 0 });
    stores.close();
    assert.deepEqual(this.#memory.list(`${MEMORY_ROOT}/sandbox`), [], "clean leaves temporary files");
    assert.deepEqual(faulty.openFiles, [], "files were left open");
  }

  /** Runs the step; then the same instance, on a disk that is well again, must still have everything, do it and take more. */
  async #fails(step: Step, open: () => ReturnType<typeof openOn>): Promise<void> {
    let stores: ReturnType<typeof openOn>;
    try {
      stores = open();
    } catch (error) {
      this.#isCoded(error);
      return;
    } finally {
      this.#armed = this.what === "none";
    }
    try {
      try {
        await step.run(stores, this.#state);
      } catch (error) {
        this.#isCoded(error);
      }
      this.#armed = false;
      await this.#state.check(stores);
      if (this.failed > 0) await step.run(stores, this.#state);
      // What was acknowledged was so for a power cut, too: a sync that failed is not made good by one that succeeds.
      const cut = openOn(this.#memory.afterPowerCut(), settings);
      await this.#state.check(cut, this.#plan.lenient);
      cut.close();
      await stillWorks(stores, this.#state);
    } finally {
      stores.close();
    }
  }

  #isCoded(error: unknown): void {
    if (!isTsdosError(error)) throw error;
    assert.match(error.message, /on purpose/);
    assert.equal(error.code, this.#plan.kind.code);
    this.failed = 1;
  }

  #fault(call: FileCall): Fault | undefined {
    const { errno, kind, mode, at, next } = this.#plan;
    if (!this.#armed || !kind.mayFail(call) || ++this.#calls < at) return undefined;
    if (mode === "once") this.#armed = false;
    if (this.what === "none") this.what = `${call.name} ${call.path}`;
    if (call.name === "sync") this.#memory.failSync(call.path);
    const message = `${errno} on purpose in ${call.name} ${call.path}`;
    const error = new TsdosError(kind.code, message, { path: call.path, errno });
    return { error, written: call.name === "write" ? next() % ((call.size ?? 0) + 1) : 0 };
  }
}
