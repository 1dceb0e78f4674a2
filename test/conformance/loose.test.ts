import { objectStoreConformance } from "../../src/testing.ts";
import { storeInMemory, storeOnDisk } from "../support/stores.ts";

for (const loosePrefixLen of [0, 1, 2, 3, 4]) {
  objectStoreConformance(`loose, prefix length ${loosePrefixLen}, in memory`, {
    makeStore: () => storeInMemory("loose", { loosePrefixLen }),
    largeObjects: false,
  });
}
objectStoreConformance("loose, on disk", { makeStore: () => storeOnDisk("loose") });
