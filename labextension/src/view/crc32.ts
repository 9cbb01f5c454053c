/** CRC-32 as in zlib, of text that is ASCII. */

const TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  return c;
});

/** Eight hexadecimal digits: of `before` and then `text` without its first `skip` characters. */
export function crc32(text: string, skip = 0, before = ""): string {
  const c = through(text, skip, through(before, 0, -1));
  return (~c >>> 0).toString(16).padStart(8, "0");
}

/** The sum so far, after the characters from `first` on. */
function through(text: string, first: number, sum: number): number {
  let c = sum;
  for (let i = first; i < text.length; i++)
    c = (c >>> 8) ^ (TABLE[(c ^ text.charCodeAt(i)) & 0xff] as number);
  return c;
}
