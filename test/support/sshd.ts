import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const SSHD = "/usr/sbin/sshd";
/** Where sshd, as root, wants an empty folder. */
const PRIVILEGE_FOLDER = "/run/sshd";
const LIMIT_MS = 60_000;

/** Why there is no sshd here; false if there is one. */
export function whyNoSshd(): string | false {
  if (!existsSync(SSHD) || spawnSync("ssh", ["-V"], { stdio: "ignore" }).error !== undefined)
    return "needs ssh and sshd: npm run setup:debian, as root";
  return false;
}

export interface Sshd extends AsyncDisposable {
  /** `user@host` of this machine. */
  readonly host: string;
  /** The command that gets in. */
  readonly ssh: string;
}

/** Starts an sshd on loopback, with keys of its own in `folder`, that lets the user of this process in. */
export async function startSshd(folder: string): Promise<Sshd> {
  mkdirSync(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  for (const name of ["host", "user"]) {
    const made = spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(name)]);
    if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  }
  const port = await freePort();
  const isRoot = process.getuid?.() === 0;
  if (isRoot) mkdirSync(PRIVILEGE_FOLDER, { recursive: true, mode: 0o755 });
  writeFileSync(
    at("config"),
    [
      "ListenAddress 127.0.0.1",
      `Port ${port}`,
      `HostKey ${at("host")}`,
      `AuthorizedKeysFile ${at("user.pub")}`,
      "PidFile none",
      "StrictModes no",
      "PasswordAuthentication no",
      `UsePAM ${isRoot ? "yes" : "no"}`,
      "",
    ].join("\n"),
  );
  writeFileSync(at("known"), `[127.0.0.1]:${port} ${readFileSync(at("host.pub"), "utf8")}`);
  const daemon = spawn(SSHD, ["-D", "-e", "-f", at("config")], {
    stdio: ["ignore", "ignore", "pipe"],
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const ended = once(daemon, "close");
  const said: string[] = [];
  await Promise.race([
    ended,
    new Promise<void>((resolve) => {
      createInterface({ input: daemon.stderr }).on("line", (line) => {
        said.push(line);
        if (line.includes("listening on")) resolve();
      });
    }),
  ]);
  if (daemon.exitCode !== null) throw new Error(`sshd: ${said.join("\n")}`);
  return {
    host: `${userInfo().username}@127.0.0.1`,
    ssh: `ssh -F none -p ${port} -i ${at("user")} -o IdentitiesOnly=yes -o UserKnownHostsFile=${at("known")} -o BatchMode=yes`,
    async [Symbol.asyncDispose]() {
      daemon.kill();
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
