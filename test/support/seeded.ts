import { randomInt } from "node:crypto";
import { type TestContext, test } from "node:test";

/** A test that makes random choices from a seed. It tells the seed when it fails; `TSDOS_TEST_SEED` repeats it. */
export function seeded(
  name: string,
  work: (seed: number, t: TestContext) => Promise<void> | void,
  options: { readonly skip?: string | false } = {},
): void {
  test(name, options, async (t) => {
    const given = process.env["TSDOS_TEST_SEED"];
    const seed = given === undefined ? randomInt(2 ** 31) : Number(given);
    try {
      await work(seed, t);
    } catch (error) {
      throw new Error(`with TSDOS_TEST_SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  });
}
