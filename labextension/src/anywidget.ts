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

function channelOf(model: Model): Channel {
  let gone = () => {};
  return {
    send(message) {
      try {
        model.send(message);
      } catch {
        gone(); // a widget without its comm throws
      }
    },
    listen(receive, closed) {
      gone = closed;
      model.on("msg:custom", receive);
      model.on("comm:close", closed);
      model.on("comm_live_update", () => model.comm_live === false && closed());
    },
  };
}

/** Called once for each model: its views share what `initialize` made. */
export default () => {
  let live: LiveRun | undefined;
  return {
    initialize({ model }: { model: Model }) {
      live = new LiveRun(channelOf(model), shared.renderer);
      return () => live?.close();
    },
    render({ el }: { el: HTMLElement }) {
      if (live) render(h(App, { run: live.run }), el);
      return () => render(null, el);
    },
  };
};
