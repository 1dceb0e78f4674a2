import { objectStoreConformance } from "../../src/testing.ts";
import { storeInMemory, storeOnDisk } from "../support/stores.ts";

/** A codec makes no difference to what depends on the number of objects only. */
const FEW = { manyItems: 700 };

for (const compression of ["none", "zlib:+1", "zstd:-5", "zstd:-1", "zstd:+3"]) {
  objectStoreConformance(`packed, ${compression}, in memory`, {
    makeStore: () => storeInMemory("packed", { compression }),
    largeObjects: compression === "none",
    ...(compression !== "none" && FEW),
  });
}
objectStoreConformance("packed, small packs, in memory", {
  makeStore: () => storeInMemory("packed", { packSizeTarget: 50_000 }),
  largeObjects: false,
});
objectStoreConformance("packed, on disk", { makeStore: () => storeOnDisk("packed") });
