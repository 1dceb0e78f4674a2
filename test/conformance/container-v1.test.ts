import { objectStoreConformance } from "../../src/testing.ts";
import { containerOnDisk } from "../support/stores.ts";

for (const to of ["loose", "packed", "auto"] as const) {
  objectStoreConformance(`a container of version 1, to ${to}`, {
    makeStore: () => containerOnDisk(1),
    insertOptions: { to },
    largeObjects: to === "packed",
  });
}
