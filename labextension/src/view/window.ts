/** Which rows of a long list are worth having in the page. All rows are 24 px high. */

export const ROW = 24;
const SPARE = 8;

export interface Span {
  first: number;
  last: number;
}

export function visibleSpan(scrollTop: number, height: number, rows: number): Span {
  const first = Math.max(0, Math.floor(scrollTop / ROW) - SPARE);
  return {
    first: Math.min(first, rows),
    last: Math.min(rows, Math.ceil((scrollTop + height) / ROW) + SPARE),
  };
}

/** Where to scroll so that a row shows; the present position if it does already. */
export function scrollToShow(row: number, scrollTop: number, height: number): number {
  const [top, bottom] = [row * ROW, (row + 1) * ROW];
  if (top < scrollTop) return top;
  return bottom > scrollTop + height ? bottom - height : scrollTop;
}
