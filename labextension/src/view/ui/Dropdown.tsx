/** A button with a panel below it that goes away by Escape, by a press elsewhere, or when the focus leaves it. */

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props {
  button: ComponentChildren;
  label?: string;
  look?: string;
  children: (close: () => void) => ComponentChildren;
}

export function Dropdown({ button, label, look = "", children }: Props) {
  const [open, setOpen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const close = () => setOpen(false);
  useEffect(() => (open ? watchOutside(place.current, close) : undefined), [open]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (!open || event.key !== "Escape") return;
    event.stopPropagation();
    close();
    place.current?.querySelector("button")?.focus();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape in the panel closes it
    <div class="rlm-dropdown" ref={place} onKeyDown={onKeyDown}>
      <button
        type="button"
        class={`rlm-button ${look}`}
        aria-label={label}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {button}
      </button>
      {open && <Panel>{children(close)}</Panel>}
    </div>
  );
}

/** Shown in the browser's top layer, where no cell's output cuts it off. */
function Panel({ children }: { children: ComponentChildren }) {
  const panel = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = panel.current as HTMLDivElement;
    const follow = () => putBelow(element, element.parentElement as HTMLElement);
    element.showPopover();
    follow();
    document.addEventListener("scroll", follow, true);
    return () => document.removeEventListener("scroll", follow, true);
  }, []);
  return (
    <div ref={panel} class="rlm-menu" popover="manual">
      {children}
    </div>
  );
}

/** Below the button and within the view; above it where the window ends. */
function putBelow(panel: HTMLElement, button: HTMLElement): void {
  const { left, top, bottom } = button.getBoundingClientRect();
  const { right } = (button.closest(".rlm") ?? document.body).getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = panel;
  const fits = bottom + height <= innerHeight;
  panel.style.left = `${Math.max(0, Math.min(left, right - width))}px`;
  panel.style.top = `${fits ? bottom : Math.max(0, top - height)}px`;
}

function watchOutside(inside: HTMLElement | null, act: () => void): () => void {
  const onLeave = ({ target }: Event) => !inside?.contains(target as Node) && act();
  const leaving = ["pointerdown", "focusin"];
  for (const event of leaving) document.addEventListener(event, onLeave);
  return () => {
    for (const event of leaving) document.removeEventListener(event, onLeave);
  };
}
