/** The live view as an anywidget module: one run per model, any number of views of it. */

import { h, render } from "preact";
import "../style/view.css";
import { shared } from "./view/handoff";
import { type Channel, LiveRun } from "./view/live";
import type { FromKernel, ToKernel } from "./view/protocol";
import { App } from "./view/ui/App";

/** The part of anywidget's model that is used here. */
interface Model {
  send(message: ToKernel): void;
  on(event: "msg:custom", callback: (message: FromKernel) => void): void;
  on(event: "comm:close" | "comm_live_update", callback: () => void): void;
  comm_live?: boolean;
}

const runs = new WeakMap<Model, LiveRun>();

function channelOf(model: Model): Channel {
  return {
    send: (message) => model.send(message),
    listen(receive, closed) {
      model.on("msg:custom", receive);
      model.on("comm:close", closed);
      model.on("comm_live_update", () => model.comm_live === false && closed());
    },
  };
}

export default {
  initialize({ model }: { model: Model }) {
    const live = new LiveRun(channelOf(model), shared.renderer);
    runs.set(model, live);
    return () => live.close();
  },
  render({ model, el }: { model: Model; el: HTMLElement }) {
    const live = runs.get(model);
    if (live) render(h(App, { run: live.run }), el);
    return () => render(null, el);
  },
};
