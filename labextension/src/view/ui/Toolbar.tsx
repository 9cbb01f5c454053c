/** Find and filter; follow the run. */

import { isEmpty } from "../filter";
import { KIND_NAMES, kindOf, plural, STATUS_GLYPHS, type Status } from "../format";
import type { ViewState } from "../state";
import { Choice } from "./Choice";
import { Button } from "./common";

const STATUS_NAMES = Object.keys(STATUS_GLYPHS) as Status[];

export function Toolbar({ view }: { view: ViewState }) {
  const filter = view.filter.value;
  const match = view.match.value;
  return (
    <fieldset class="rlm-toolbar" aria-label="Filter">
      <input
        type="search"
        class="rlm-find"
        placeholder="find  /"
        aria-label="Find in the tree"
        value={filter.text}
        onInput={(event) => view.setFilter({ text: event.currentTarget.value })}
      />
      <Choice
        name="kind"
        options={KIND_NAMES.map((kind) => ({
          value: kind,
          mark: kindOf(kind).letter,
          text: kindOf(kind).word,
        }))}
        chosen={filter.kinds}
        onChange={(kinds) => view.setFilter({ kinds })}
      />
      <Choice
        name="status"
        options={STATUS_NAMES.map((status) => ({ value: status, mark: STATUS_GLYPHS[status], text: status }))}
        chosen={filter.statuses}
        onChange={(statuses) => view.setFilter({ statuses })}
      />
      {match && (
        <span class="rlm-muted">{plural(match.matched.length, "match").replace("matchs", "matches")}</span>
      )}
      {!isEmpty(filter) && <Button onClick={() => view.clearFilter()}>Clear</Button>}
      <span class="rlm-gap" />
      {view.run.alive && (
        <label class="rlm-check">
          <input
            type="checkbox"
            checked={view.follow.value}
            onChange={(event) => {
              view.follow.value = event.currentTarget.checked;
            }}
          />
          follow
        </label>
      )}
      <Button
        label="Keys"
        title="Keys (?)"
        pressed={view.help.value}
        onClick={() => {
          view.help.value = !view.help.value;
        }}
      >
        ?
      </Button>
    </fieldset>
  );
}
