/** Which form of a rich output shows, and how without any risk. */

import { isReference } from "./bodies";
import type { BodyRef, Data } from "./protocol";

export interface Form {
  mime: string;
  body: BodyRef;
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

/** `output` maps MIME types to references. */
export function pick(output: Data): Form | null {
  for (const mime of PREFERRED) {
    const body = output[mime];
    if (isReference(body)) return { mime, body };
  }
  return null;
}

export const isImage = (mime: string): boolean => mime.startsWith("image/") && mime !== "image/svg+xml";

/** A data URL for a bitmap image; null if its text is damaged, or has been cut. */
export function imageSource(mime: string, text: string): string | null {
  return BASE64.test(text) ? `data:${mime};base64,${text.replace(/\s/g, "")}` : null;
}

export const frameDocument = (markup: string): string =>
  `<!doctype html><meta http-equiv="Content-Security-Policy" content="${POLICY}">` +
  `<meta name="color-scheme" content="light"><body style="margin:4px;background:#fff;color:#111;font:13px sans-serif">${markup}`;
