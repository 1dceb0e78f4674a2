// `node bad-disk-child.ts FOLDER`: reads every object of a container twice, in pieces, and says for each of them, by the first
// characters of its key, how that ended. Then it validates the container, and says the keys that are told.
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { createKeyHasher } from "../../src/key/hash.ts";

await using container = await Container.open(process.argv[2] as string);
const keys = await Array.fromAsync(container.keys());

async function read(key: string): Promise<string> {
  const hasher = createKeyHasher();
  try {
    for await (const piece of (await container.extract(key))?.pieces() ?? []) hasher.update(piece);
    return hasher.key() === key ? "right" : "wrong";
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    return error.code;
  }
}

for (const key of [...keys, ...keys]) console.log(`${key.slice(0, 8)} ${await read(key)}`);
const { problems } = await container.validate();
for (const { key, code } of problems) console.log(`${key?.slice(0, 8)} ${code}`);
