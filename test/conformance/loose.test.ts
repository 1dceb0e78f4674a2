import { objectStoreConformance } from "../../src/testing.ts";
import { storeInMemory, storeOnDisk } from "../support/stores.ts";

for (const loosePrefixLen of [0, 1, 2, 3, 4]) {
  objectStoreConformance(`loose, prefix length ${loosePrefixLen}, in memory`, {
    makeStore: () => storeInMemory("loose", { loosePrefixLen }),
    largeObjects: false,
    // How many folders there are makes no difference to what depends on the number of objects only.
    ...(loosePrefixLen !== 2 && { manyItems: 700 }),
  });
}
objectStoreConformance("loose, on disk", { makeStore: () => storeOnDisk("loose") });
