/** The recursion tree with its time bars: only the rows in sight are in the page. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { duration } from "../format";
import { onTreeKey } from "../keys";
import type { ViewState } from "../state";
import { ROW, scrollToShow, visibleSpan } from "../window";
import { Button } from "./common";
import { rowDomId, TreeRow } from "./TreeRow";

/** Rows that scroll out lend their elements to those that scroll in: more than are ever in the page at once. */
const SLOTS = 256;

export function TreePane({ view }: { view: ViewState }) {
  const scale = Math.max(view.run.now(), view.time.value, 0.001);
  if (view.rows.value.length === 0) return <NothingMatches view={view} />;
  return (
    <div class="rlm-tree">
      <Columns seconds={scale} />
      <Rows view={view} scale={scale} />
    </div>
  );
}

function Rows({ view, scale }: { view: ViewState; scale: number }) {
  const rows = view.rows.value;
  const pane = useRef<HTMLDivElement>(null);
  const [scrollTop, setScrollTop] = useState(0);
  const height = useHeight(pane);
  const selected = view.rowOf(view.selected.value);
  useShown(pane, selected, height);
  useShown(pane, followedRow(view), height);
  const { first, last } = visibleSpan(scrollTop, height, rows.length);
  const selectedRow = selected >= first && selected < last ? rows[selected] : undefined;
  return (
    <div
      ref={pane}
      class="rlm-rows"
      role="tree"
      aria-label="Recursion tree"
      aria-activedescendant={selectedRow && rowDomId(view, selectedRow)}
      tabIndex={0}
      onScroll={(event) => setScrollTop(event.currentTarget.scrollTop)}
      onClick={(event) => onRowClick(view, event)}
      onKeyDown={(event) => onTreeKey(view, event)}
    >
      <div style={{ height: `${rows.length * ROW}px` }} role="presentation">
        <div style={{ transform: `translateY(${first * ROW}px)` }} role="presentation">
          {rows.slice(first, last).map((row, i) => (
            <TreeRow
              key={(first + i) % SLOTS}
              view={view}
              row={row}
              selected={row === selectedRow}
              scale={scale}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function onRowClick(view: ViewState, event: MouseEvent): void {
  const target = event.target as HTMLElement;
  const id = target.closest<HTMLElement>("[data-row]")?.dataset.row;
  const row = view.rows.value.find((candidate) => candidate.id === id);
  if (!row) return;
  if (row.window || target.closest(".rlm-twisty")) view.expand(row, !row.expanded);
  else view.select(row.id);
}

function Columns({ seconds }: { seconds: number }) {
  return (
    <div class="rlm-columns" aria-hidden="true">
      <span class="rlm-name">call</span>
      <span class="rlm-tokens">tokens</span>
      <span class="rlm-cost">cost</span>
      <span class="rlm-time">time</span>
      <span class="rlm-axis">
        <span>0</span>
        <span>{duration(seconds)}</span>
      </span>
    </div>
  );
}

function NothingMatches({ view }: { view: ViewState }) {
  return (
    <div class="rlm-tree rlm-empty">
      <p>
        {view.match.value
          ? "Nothing in this run matches the filter."
          : "Nothing has happened yet at this time."}
      </p>
      {view.match.value && <Button onClick={() => view.clearFilter()}>Clear the filter</Button>}
    </div>
  );
}

function useHeight(pane: { current: HTMLDivElement | null }): number {
  const [height, setHeight] = useState(400);
  useLayoutEffect(() => {
    const element = pane.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return height;
}

/** Keep the selected row in sight when the selection moves. */
function useShown(pane: { current: HTMLDivElement | null }, row: number, height: number): void {
  useEffect(() => {
    const element = pane.current;
    if (element && row >= 0) element.scrollTop = scrollToShow(row, element.scrollTop, height);
  }, [row]);
}

/** The row of what opened last, while the run is followed; -1 else. */
function followedRow(view: ViewState): number {
  const following = view.follow.value && view.run.alive && view.moment.value.step === null;
  return following ? view.rowOf(view.run.history.value.latest) : -1;
}
