/** A drop-down of check boxes. */

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
    <details class="rlm-choice">
      <summary class="rlm-button">
        {name}
        {chosen.size > 0 && <b>{` ${chosen.size}`}</b>} ▾
      </summary>
      <div class="rlm-menu">
        {options.map(({ value, mark, text }) => (
          <label key={value}>
            <input type="checkbox" checked={chosen.has(value)} onChange={() => toggle(value)} />
            <span class="rlm-mark">{mark}</span>
            {text}
          </label>
        ))}
      </div>
    </details>
  );
}
