/** Tokens and money: the node's own call and the sum of all below it; retries with their reasons. */

import { count, dollars, sumOfCosts, UNKNOWN } from "../format";
import type { Usage as UsageField } from "../protocol";
import type { TreeNode } from "../tree";
import type { Shown } from "./tabs";

export function Usage({ node }: Shown) {
  const { model, finish_reason: finish, cached, retries } = node.fields;
  return (
    <>
      <Figures node={node} />
      <dl class="rlm-facts">
        <Fact name="model" value={model} />
        <Fact name="finish" value={finish} />
        {cached === true && <Fact name="reply" value={`was known, not paid again${savings(node)}`} />}
      </dl>
      {Array.isArray(retries) && retries.length > 0 && <Retries retries={retries} />}
    </>
  );
}

function savings({ fields }: TreeNode): string {
  const saved = fields.saved as Partial<UsageField> | undefined;
  if (!saved) return "";
  const tokens = `${count(saved.input ?? 0)}→${count(saved.output ?? 0)} tokens`;
  return `: saved ${tokens}, ${typeof saved.cost === "number" ? dollars(saved.cost) : UNKNOWN}`;
}

function Figures({ node }: { node: TreeNode }) {
  const own = node.fields.usage as Partial<UsageField> | undefined;
  const { sums } = node;
  const rows: [string, number | undefined, number | null][] = [
    ["input tokens", own?.input, sums.input],
    ["of these cached", own?.cached, null],
    ["output tokens", own?.output, sums.output],
    ["of these reasoning", own?.reasoning, null],
    ["calls", own && 1, sums.calls],
    ["failed", undefined, sums.failed],
  ];
  return (
    <table class="rlm-table rlm-figures">
      <thead>
        <tr>
          <th />
          <th>own</th>
          <th>Σ with all below</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, mine, all]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{number(mine)}</td>
            <td>{number(all)}</td>
          </tr>
        ))}
        <tr>
          <th scope="row">cost</th>
          <td>{own ? dollars(own.cost) : ""}</td>
          <td>{sumOfCosts(sums)}</td>
        </tr>
      </tbody>
    </table>
  );
}

const number = (n: number | null | undefined): string =>
  n === null || n === undefined ? "" : n.toLocaleString("en-US");

export function Fact({ name, value }: { name: string; value: unknown }) {
  if (value === undefined || value === null || value === "") return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {typeof value === "string"
          ? value
          : typeof value === "number"
            ? value.toLocaleString("en-US")
            : JSON.stringify(value)}
      </dd>
    </div>
  );
}

function Retries({ retries }: { retries: unknown[] }) {
  return (
    <>
      <p>
        <b>tries that failed before</b>
      </p>
      <ol class="rlm-retries">
        {retries.map((retry, i) => (
          <li key={i}>{typeof retry === "string" ? retry : JSON.stringify(retry) || UNKNOWN}</li>
        ))}
      </ol>
    </>
  );
}
