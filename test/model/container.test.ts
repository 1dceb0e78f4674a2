import { seeded } from "../support/seeded.ts";
import { type randomSetting, tryCase } from "./cases.ts";

const STEPS = 60;
type Setting = ReturnType<typeof randomSetting>;

const settings: Record<string, Setting> = {
  "version 2, as it comes": { where: "disk", options: {} },
  "version 2, flat, small packs, no compression": {
    where: "disk",
    options: { loosePrefixLen: 0, packSizeTarget: 30_000, compression: "none" },
  },
  "version 1": { where: "disk", options: { formatVersion: 1, packSizeTarget: 20_000 } },
  "in memory, with power cuts": { where: "memory", options: { packSizeTarget: 5000, loosePrefixLen: 1 } },
};

for (const [name, setting] of Object.entries({ ...settings, "whatever it is like": undefined })) {
  seeded(`random commands in two open containers agree with a Map (${name})`, async (seed) => {
    const report = await tryCase(seed, STEPS, setting);
    if (report !== undefined) throw new Error(report);
  });
}
