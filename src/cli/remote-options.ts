import type { Command } from "commander";

/** The options of commands that may work with another machine. */
export interface RemoteFlags {
  readonly ssh?: string;
  readonly remoteCommand?: string;
}

export function withRemoteOptions(command: Command): Command {
  return command
    .option("--ssh <COMMAND>", "what connects to another machine, words separated by spaces (default: ssh)")
    .option("--remote-command <COMMAND>", "what starts tsdos there (default: tsdos)");
}

export function remoteOptionsOf({ ssh, remoteCommand }: RemoteFlags): RemoteFlags {
  return { ...(ssh !== undefined && { ssh }), ...(remoteCommand !== undefined && { remoteCommand }) };
}
