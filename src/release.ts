/** Small outputs are parts of a pool of this many bytes, which others have parts of, too; programs may change its size. */
const { poolSize } = Buffer;

/**
 * Gives memory back at once, such as that of a codec's output; the array is empty afterwards. Left to the garbage collector, some
 * 64 MiB of used outputs pile up before it looks. Only for bytes that nobody else has; what shares its memory with others is left alone.
 */
export function release(bytes: Uint8Array): void {
  const { buffer, byteOffset } = bytes;
  const isPool = buffer.byteLength === poolSize || buffer.byteLength === Buffer.poolSize;
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && !isPool) buffer.transfer(0);
}
