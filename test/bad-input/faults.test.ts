import assert from "node:assert/strict";
import { type ErrorCode, isTsdosError, TsdosError } from "../../src/errors.ts";
import { numbers } from "../../src/testing/contents.ts";
import { type Fault, type FileCall, InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { seeded } from "../support/seeded.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";
import { Acknowledged, type Step, steps, stillWorks } from "../support/workload.ts";

const GROWING = new Set(["write", "makeDirectory", "rename", "sync", "syncDirectory"]);

interface Kind {
  readonly errno: string;
  /** Only calls that need space run out of it. */
  readonly mayFail: (call: FileCall) => boolean;
  /** At most so many calls are passed over between two that are tried. */
  readonly stride: number;
}

const kinds: Record<string, Kind> = {
  NO_SPACE: {
    errno: "ENOSPC",
    mayFail: ({ name, mode }) => GROWING.has(name) || (name === "open" && mode !== "read"),
    stride: 1,
  },
  // Closing what was only read does not fail.
  IO_ERROR: { errno: "EIO", mayFail: ({ name, path }) => name !== "close" || path.includes("/sandbox/"), stride: 3 },
};
const settings = { packSizeTarget: 5000 };

for (const [code, { errno, mayFail, stride }] of Object.entries(kinds)) {
  for (const step of steps.filter(({ large }) => !large)) {
    seeded(`${code} in the n-th call of "${step.name}" loses nothing and leaves nothing half-written`, async (seed) => {
      const next = numbers(seed);
      const { files, state } = await before(step);
      let failed = 0;
      for (let at = 1; ; at += 1 + (next() % stride)) {
        let calls = 0;
        let armed = true;
        let ended = false;
        let what = "none";
        const trial = files.afterPowerCut(() => true);
        const acknowledged = state.copy();
        const fault = (call: FileCall): Fault | undefined => {
          if (!armed || !mayFail(call) || ++calls !== at) return undefined;
          armed = false;
          what = `${call.name} ${call.path}`;
          const error = new TsdosError(code as ErrorCode, `${errno} on purpose in ${call.name} ${call.path}`, {
            path: call.path,
            errno,
          });
          return { error, written: call.name === "write" ? next() % ((call.size ?? 0) + 1) : 0 };
        };
        const faulty = new InterceptedFileSystem(trial, fault);
        const lock = { holder: undefined };
        try {
          const disarm = (): void => {
            ended = armed;
            armed = false;
          };
          failed += await oneFailure(step, acknowledged, { open: () => openOn(faulty, settings, lock), disarm });
          if (!what.startsWith("remove "))
            assert.deepEqual(trial.list(`${MEMORY_ROOT}/sandbox`), [], "temporary files were left");
          const stores = openOn(trial, settings, lock);
          await acknowledged.check(stores);
          await stillWorks(stores, acknowledged);
          stores.close();
          assert.deepEqual(faulty.openFiles, [], "files were left open");
        } catch (error) {
          throw new Error(`call ${at} (${what}): ${(error as Error).message}`, { cause: error });
        }
        if (ended) break;
      }
      assert.ok(failed > 0 || step.name.startsWith("flush"), "nothing ever failed");
    });
  }
}

/** The files before a step, and what was acknowledged by then. */
async function before(step: Step): Promise<{ readonly files: MemoryFileSystem; readonly state: Acknowledged }> {
  const files = emptyMemoryFolder();
  const state = new Acknowledged();
  const stores = openOn(files, settings);
  for (const one of steps) {
    if (one === step) break;
    if (!one.large) await one.run(stores, state);
  }
  stores.close();
  return { files, state };
}

interface Trial {
  readonly open: () => ReturnType<typeof openOn>;
  /** Makes the disk well again. */
  readonly disarm: () => void;
}

/** Runs the step; then the same instance, on a disk that is well again, must still have everything and take more. */
async function oneFailure(step: Step, state: Acknowledged, { open, disarm }: Trial): Promise<number> {
  let stores: ReturnType<typeof openOn>;
  try {
    stores = open();
  } catch (error) {
    assert.ok(isTsdosError(error), String(error));
    disarm();
    return 1;
  }
  try {
    let failed = 0;
    try {
      await step.run(stores, state);
    } catch (error) {
      if (!isTsdosError(error)) throw error;
      assert.match(error.message, /on purpose/);
      failed = 1;
    }
    disarm();
    await state.check(stores);
    await stillWorks(stores, state);
    return failed;
  } finally {
    stores.close();
  }
}
