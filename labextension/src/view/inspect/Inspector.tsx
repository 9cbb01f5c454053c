/** Everything about the selected node, one tab at a time. */

import { duration, kindOf, secondsOf, statusOf } from "../format";
import { rowLabel } from "../labels";
import type { ViewState } from "../state";
import type { TreeNode } from "../tree";
import { Button, StatusMark } from "../ui/common";
import { type Tab, tabsOf } from "./tabs";

export function Inspector({ view }: { view: ViewState }) {
  const node = view.node.value;
  if (!node) return null;
  const tabs = tabsOf(node);
  const tab = tabs.find(({ name }) => name === view.tab.value) ?? (tabs[0] as Tab);
  const panel = `${view.name}-panel`;
  return (
    <section class="rlm-inspector" aria-label="Inspector">
      <Head view={view} node={node} />
      <Tabs view={view} tabs={tabs} current={tab} panel={panel} />
      <div
        class="rlm-panel"
        role="tabpanel"
        id={panel}
        aria-label={tab.name}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a panel that scrolls has to take the focus
        tabIndex={0}
        key={`${node.id} ${tab.name}`}
      >
        <tab.Show view={view} node={node} />
      </div>
    </section>
  );
}

function Head({ view, node }: { view: ViewState; node: TreeNode }) {
  const { tree, alive } = view.moment.value;
  const siblings = tree.get(node.parent)?.children ?? [];
  const place = siblings.indexOf(node.id);
  const to = (id: string | null | undefined) => (id ? () => view.reveal(id) : null);
  return (
    <header class="rlm-head">
      <span class="rlm-title" title={rowLabel(node)}>
        <b>{kindOf(node.kind).word}</b> <span class="rlm-muted">{node.id}</span>{" "}
        <StatusMark status={statusOf(node, alive)} word /> {duration(secondsOf(node, view.time.value))}
      </span>
      <span class="rlm-gap" />
      <Go to={to(node.parent)} label="Parent">
        ↑
      </Go>
      <Go to={to(siblings[place - 1])} label="Previous sibling">
        ‹
      </Go>
      <Go to={to(siblings[place + 1])} label="Next sibling">
        ›
      </Go>
      <Button label="Close the inspector" onClick={() => view.select(null)}>
        ×
      </Button>
    </header>
  );
}

function Go({ to, label, children }: { to: (() => void) | null; label: string; children: string }) {
  return (
    <Button label={label} title={label} disabled={to === null} onClick={() => to?.()}>
      {children}
    </Button>
  );
}

interface TabsProps {
  view: ViewState;
  tabs: Tab[];
  current: Tab;
  panel: string;
}

function Tabs({ view, tabs, current, panel }: TabsProps) {
  const onKey = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    const next = (tabs.indexOf(current) + by + tabs.length) % tabs.length;
    view.tab.value = (tabs[next] as Tab).name;
    const list = event.currentTarget as HTMLElement;
    (list.children[next] as HTMLElement).focus();
  };
  return (
    <div class="rlm-tabs" role="tablist" aria-label="Details" onKeyDown={onKey}>
      {tabs.map(({ name }) => (
        <button
          type="button"
          role="tab"
          key={name}
          aria-selected={name === current.name}
          aria-controls={panel}
          tabIndex={name === current.name ? 0 : -1}
          onClick={() => {
            view.tab.value = name;
          }}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
