import assert from "node:assert/strict";
import type { Container } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { Line } from "./lines.ts";

/** What must be in a container, and what must not, by what actors have said. The numbers are those of the contents. */
export class Model {
  readonly present: Map<string, number> = new Map();
  readonly gone: Map<string, number> = new Map();
  /** May be there or not. */
  readonly unsure: Map<string, number> = new Map();

  copy(): Model {
    const copy = new Model();
    for (const name of ["present", "gone", "unsure"] as const)
      for (const [key, id] of this[name]) copy[name].set(key, id);
    return copy;
  }

  take({ sign, subject: key, detail }: Line): void {
    const to = { "+": this.present, "-": this.gone, "?": this.unsure }[sign as string];
    if (to === undefined) return;
    this.put(to, key, Number(detail));
  }

  /** Moves a key to one of the three. */
  put(to: Map<string, number>, key: string, id: number): void {
    for (const from of [this.present, this.gone, this.unsure]) from.delete(key);
    to.set(key, id);
  }

  /** Reads everything. From then on what was unsure is what was found. */
  async check(container: Container): Promise<void> {
    let asked = 0;
    for await (const { key, object } of container.extractMany(this.present.keys())) {
      assert.ok(object !== undefined, `${key} was acknowledged and is lost`);
      assert.equal(keyOf(await object.bytes()), key);
      asked++;
    }
    for await (const { key, object } of container.extractMany(this.gone.keys())) {
      assert.ok(object === undefined, `${key} was deleted and is back`);
      asked++;
    }
    assert.equal(asked, this.present.size + this.gone.size, "each key has an answer");
    for await (const { key, object } of container.extractMany([...this.unsure.keys()])) {
      const id = this.unsure.get(key) as number;
      this.put(object === undefined ? this.gone : this.present, key, id);
      if (object !== undefined) assert.equal(keyOf(await object.bytes()), key);
    }
    assert.deepEqual((await container.validate()).problems, []);
  }
}
