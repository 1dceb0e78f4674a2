/** What a long operation has done so far. */
export interface Progress {
  /** What is being done now, for example `pack` or `verify`. */
  readonly phase: string;
  readonly objects: number;
  /** Raw bytes handled so far. */
  readonly bytes: number;
  /** Absent when it cannot be known beforehand. */
  readonly totalObjects?: number;
  readonly totalBytes?: number;
}

export type OnProgress = (progress: Progress) => void;

/** Options that every long operation takes. */
export interface LongOperationOptions {
  /** Stops the operation at the next safe point; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Milliseconds to wait for the packer lock, by operations that take it. 0 = not at all. Default: the container's. */
  readonly lockTimeoutMs?: number | undefined;
}
