/** A button with a panel below it that goes away by Escape, or by a press elsewhere. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

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
      {open && <div class="rlm-menu">{children(close)}</div>}
    </div>
  );
}

function watchOutside(inside: HTMLElement | null, act: () => void): () => void {
  const onPress = (event: PointerEvent) => !inside?.contains(event.target as Node) && act();
  document.addEventListener("pointerdown", onPress);
  return () => document.removeEventListener("pointerdown", onPress);
}
