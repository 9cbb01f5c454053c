/** Variables that a cell made or changed; of a run, all of them as of the time that shows. */

import type { Data } from "../protocol";
import { Button } from "../ui/common";
import { type Variable, variablesOf } from "../variables";
import type { Shown } from "./tabs";

export function Variables({ view, node }: Shown) {
  const variables = Array.isArray(node.fields.changes)
    ? (node.fields.changes as Data[]).map((change) => ({ change, by: node.id }))
    : variablesOf(view.moment.value.tree, node);
  if (variables.length === 0) return <p class="rlm-muted">none yet</p>;
  return (
    <table class="rlm-table">
      <thead>
        <tr>
          <th>name</th>
          <th>type</th>
          <th>size</th>
          <th>set by</th>
        </tr>
      </thead>
      <tbody>
        {variables.map((variable) => (
          <Line
            key={String(variable.change.name)}
            variable={variable}
            here={node.id}
            go={(id) => view.reveal(id)}
          />
        ))}
      </tbody>
    </table>
  );
}

function Line({ variable, here, go }: { variable: Variable; here: string; go: (id: string) => void }) {
  const { change, by } = variable;
  return (
    <tr>
      <td title={String(change.name)}>
        <code>{String(change.name)}</code>
      </td>
      <td>{String(change.type ?? "")}</td>
      <td>{String(change.size ?? "")}</td>
      <td>{by === here ? change.new ? "new" : "changed" : <Button onClick={() => go(by)}>{by}</Button>}</td>
    </tr>
  );
}
