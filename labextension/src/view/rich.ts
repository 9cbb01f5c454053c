/** Which form of a rich output shows, and how without any risk. */

import type { Data } from "./protocol";

export interface Form {
  mime: string;
  text: string;
}

const PREFERRED = [
  "image/png",
  "image/jpeg",
  "image/gif",
  "image/webp",
  "image/svg+xml",
  "text/html",
  "text/plain",
];
const BASE64 = /^[A-Za-z0-9+/=\s]*$/;
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

export function pick(data: Data): Form | null {
  for (const mime of PREFERRED) {
    const text = data[mime];
    if (typeof text === "string") return { mime, text };
  }
  return null;
}

/** A data URL for a bitmap image; null for anything else. */
export function imageSource({ mime, text }: Form): string | null {
  const bitmap = mime.startsWith("image/") && mime !== "image/svg+xml";
  return bitmap && BASE64.test(text) ? `data:${mime};base64,${text.replace(/\s/g, "")}` : null;
}

export const frameDocument = (markup: string): string =>
  `<!doctype html><meta http-equiv="Content-Security-Policy" content="${POLICY}">` +
  `<meta name="color-scheme" content="light"><body style="margin:4px;background:#fff;color:#111;font:13px sans-serif">${markup}`;
