/** CRC-32 as in zlib, of text that is ASCII. */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

/** Eight hexadecimal digits. */
export function crc32(text: string): string {
  let c = 0xffffffff;
  for (let i = 0; i < text.length; i++) c = (c >>> 8) ^ (TABLE[(c ^ text.charCodeAt(i)) & 0xff] as number);
  return ((c ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}
