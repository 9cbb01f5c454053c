/** Small parts that several components use. */

import type { ComponentChildren } from "preact";
import { STATUS_GLYPHS, type Status } from "../format";

export function StatusMark({ status, word = false }: { status: Status; word?: boolean }) {
  return (
    <span class={`rlm-status rlm-is-${status}`} title={status}>
      <span aria-hidden="true">{STATUS_GLYPHS[status]}</span>
      {word && <span class="rlm-word">{status}</span>}
    </span>
  );
}

interface ButtonProps {
  onClick: () => void;
  children: ComponentChildren;
  label?: string;
  title?: string;
  pressed?: boolean;
  disabled?: boolean;
  /** Nothing to do now; unlike a disabled button it keeps the focus. */
  idle?: boolean;
  kind?: "plain" | "main" | "warn";
}

export function Button({
  onClick,
  children,
  label,
  title,
  pressed,
  disabled,
  idle = false,
  kind = "plain",
}: ButtonProps) {
  return (
    <button
      type="button"
      class={`rlm-button rlm-${kind}`}
      aria-label={label}
      aria-pressed={pressed}
      title={title}
      disabled={disabled}
      aria-disabled={idle || undefined}
      onClick={() => idle || onClick()}
    >
      {children}
    </button>
  );
}
