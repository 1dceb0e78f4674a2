import { describe } from "node:test";
import { abortCases } from "./abort-conformance.ts";
import { insertCases } from "./insert-conformance.ts";
import { insertManyCases } from "./insert-many-conformance.ts";
import { listingCases } from "./listing-conformance.ts";
import { readCases } from "./read-conformance.ts";
import { type ConformanceOptions, caseRunner } from "./store-under-test.ts";

/**
 * Declares tests (of `node:test`) of everything that an ObjectStore promises. Every implementation and every wrapper passes them.
 * Each test gets its own, empty store.
 */
export function objectStoreConformance(name: string, options: ConformanceOptions): void {
  describe(name, () => {
    const check = caseRunner(options);
    insertCases(check);
    insertManyCases(check);
    readCases(check);
    listingCases(check);
    abortCases(check);
  });
}
