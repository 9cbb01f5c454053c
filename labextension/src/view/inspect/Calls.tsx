/** What a node called, one line each. */

import { count, duration, kindOf, plural, secondsOf, statusOf, sumOfCosts } from "../format";
import { rowLabel } from "../labels";
import type { TreeNode } from "../tree";
import { StatusMark } from "../ui/common";
import type { Shown } from "./tabs";

const MOST = 200; // lines; the tree has them all

export function Calls({ view, node }: Shown) {
  const { tree } = view.moment.value;
  const calls = node.children.slice(0, MOST).flatMap((id) => tree.get(id) ?? []);
  return (
    <>
      <table class="rlm-table">
        <thead>
          <tr>
            <th>call</th>
            <th>tokens</th>
            <th>cost</th>
            <th>time</th>
          </tr>
        </thead>
        <tbody>
          {calls.map((call) => (
            <Line key={call.id} view={view} node={call} />
          ))}
        </tbody>
      </table>
      {node.children.length > MOST && (
        <p class="rlm-muted">{`${plural(node.children.length - MOST, "more call")}: see the tree`}</p>
      )}
    </>
  );
}

function Line({ view, node }: { view: Shown["view"]; node: TreeNode }) {
  const { sums } = node;
  return (
    <tr>
      <td>
        <button type="button" class="rlm-link" onClick={() => view.reveal(node.id)}>
          {kindOf(node.kind).letter} <StatusMark status={statusOf(node, view.moment.value.alive)} />{" "}
          {rowLabel(node)}
        </button>
      </td>
      <td>{sums.calls > 0 ? count(sums.input + sums.output) : ""}</td>
      <td>{sums.calls > 0 ? sumOfCosts(sums) : ""}</td>
      <td>{duration(secondsOf(node, view.time.value))}</td>
    </tr>
  );
}
