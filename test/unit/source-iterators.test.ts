import assert from "node:assert/strict";
import { test } from "node:test";
import { newContainer } from "../support/damage.ts";

/** Gives some items, and then ends or fails; it does not like to be told to end. */
class Strict<T> {
  told = 0;
  #at = 0;
  readonly #items: readonly T[];
  readonly #fails: boolean;

  constructor(items: readonly T[], fails = false) {
    this.#items = items;
    this.#fails = fails;
  }

  next(): IteratorResult<T> {
    if (this.#at < this.#items.length) return { done: false, value: this.#items[this.#at++] as T };
    if (this.#fails) throw new Error("next fails");
    return { done: true, value: undefined };
  }

  return(): IteratorResult<T> {
    this.told++;
    throw new Error("return fails");
  }

  sync(): Iterable<T> {
    return { [Symbol.iterator]: () => this };
  }

  async(): AsyncIterable<T> {
    return { [Symbol.asyncIterator]: () => ({ next: async () => this.next(), return: async () => this.return() }) };
  }
}

// An iterator that had ended was told to end, unlike by `for await`: where it then threw, a call that had done all its work failed.
test("an iterator is told to end only if it has not ended or failed, and what it says does not hide why", async () => {
  const { container } = await newContainer();
  const bytes = (i: number): Buffer => Buffer.from(`content ${i}`);
  const kinds = [<T>(items: Strict<T>) => items.sync(), <T>(items: Strict<T>) => items.async()];
  for (const kind of kinds) {
    for (const to of ["loose", "packed", "auto"] as const) {
      for (const count of [2, 70]) {
        const some = Array.from({ length: count }, (_, i) => bytes(i));
        const ends = new Strict(some);
        assert.equal((await Array.fromAsync(container.insertMany(kind(ends), { to }))).length, count);
        const fails = new Strict(some, true);
        await assert.rejects(Array.fromAsync(container.insertMany(kind(fails), { to })), /next fails/);
        const isLeft = new Strict([...some, 5 as unknown as Buffer, bytes(0)]);
        await assert.rejects(Array.fromAsync(container.insertMany(kind(isLeft), { to })), /a source is/);
        // With few sources, `auto` has them all before it reads one.
        const hasAll = to === "auto" && count === 2;
        assert.deepEqual([ends.told, fails.told, isLeft.told], [0, 0, hasAll ? 0 : 1]);
      }
    }
    const keys = new Strict(await Array.fromAsync(container.keys()));
    assert.equal((await container.delete(kind(keys))).length, 70);
    const wrong = new Strict(["no key", "0".repeat(64)]);
    await assert.rejects(Array.fromAsync(container.readMany(kind(wrong))), { code: "INVALID_KEY" });
    assert.deepEqual([keys.told, wrong.told], [0, 1]);
  }
});
