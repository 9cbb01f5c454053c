/** A drop-down of check boxes. */

import { Dropdown } from "./Dropdown";

interface Props<T extends string> {
  name: string;
  options: { value: T; mark: string; text: string }[];
  chosen: ReadonlySet<T>;
  onChange: (chosen: Set<T>) => void;
}

export function Choice<T extends string>({ name, options, chosen, onChange }: Props<T>) {
  const toggle = (value: T) => {
    const next = new Set(chosen);
    if (!next.delete(value)) next.add(value);
    onChange(next);
  };
  return (
    <Dropdown button={`${name}${chosen.size > 0 ? ` ${chosen.size}` : ""} ▾`} label={`Filter by ${name}`}>
      {() =>
        options.map(({ value, mark, text }) => (
          <label key={value}>
            <input type="checkbox" checked={chosen.has(value)} onChange={() => toggle(value)} />
            <span class="rlm-mark" aria-hidden="true">
              {mark}
            </span>
            {text}
          </label>
        ))
      }
    </Dropdown>
  );
}
