import { objectStoreConformance } from "../../src/testing.ts";
import { containerOnDisk, storeInMemory } from "../support/stores.ts";

for (const to of ["loose", "packed", "auto"] as const) {
  objectStoreConformance(`a container of version 2, to ${to}`, {
    makeStore: () => containerOnDisk(2),
    insertOptions: { to },
    largeObjects: to !== "auto",
  });
}
objectStoreConformance("loose and packed in memory, to auto", {
  makeStore: () => storeInMemory("combined"),
  insertOptions: { to: "auto" },
  largeObjects: false,
});
