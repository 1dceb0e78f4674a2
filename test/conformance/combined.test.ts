import { objectStoreConformance } from "../../src/testing.ts";
import { storeInMemory, storeOnDisk } from "../support/stores.ts";

for (const to of ["loose", "packed", "auto"] as const) {
  objectStoreConformance(`loose and packed, to ${to}, on disk`, {
    makeStore: () => storeOnDisk("combined"),
    insertOptions: { to },
  });
}
objectStoreConformance("loose and packed, to auto, in memory", {
  makeStore: () => storeInMemory("combined"),
  insertOptions: { to: "auto" },
});
