/** Texts of a run, by hash: at hand, or asked for when somebody looks. */

import { type Signal, signal } from "@preact/signals";
import type { BodyRef, Data } from "./protocol";

/** Where a text that is not at hand comes from; null: it was not kept. Rejects if there is no answer. */
export interface BodySource {
  fetch(sha256: string): Promise<string | null>;
}

export const isReference = (value: unknown): value is BodyRef =>
  typeof value === "object" && value !== null && typeof (value as Data).sha256 === "string";

const GONE = "The kernel does not have it any more.";

export type Body =
  | { state: "loading" }
  | { state: "text"; text: string; problem?: string }
  | { state: "missing" }
  | { state: "failed"; why: string };

export class Bodies {
  private readonly signals = new Map<string, Signal<Body>>();

  /** `known` holds the texts at hand and may grow. */
  constructor(
    private readonly known: () => ReadonlyMap<string, string>,
    private readonly source: () => BodySource | null,
  ) {}

  get(sha256: string): Signal<Body> {
    const have = this.signals.get(sha256);
    if (have) return have;
    const body = signal<Body>({ state: "loading" });
    this.signals.set(sha256, body);
    this.load(sha256, body);
    return body;
  }

  get canAsk(): boolean {
    return this.source() !== null;
  }

  /** Ask where texts come from, also for one that is at hand but cut. */
  retry(sha256: string): void {
    const source = this.source();
    if (source) this.ask(source, sha256, this.get(sha256));
  }

  private load(sha256: string, body: Signal<Body>): void {
    const text = this.known().get(sha256);
    const source = this.source();
    if (text !== undefined) body.value = { state: "text", text };
    else if (!source) body.value = { state: "missing" };
    else this.ask(source, sha256, body);
  }

  private ask(source: BodySource, sha256: string, body: Signal<Body>): void {
    body.value = { state: "loading" };
    source.fetch(sha256).then(
      (text) => {
        body.value = text === null ? this.fallBack(sha256, GONE) : { state: "text", text };
      },
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        body.value = this.fallBack(sha256, why, { state: "failed", why });
      },
    );
  }

  /** What is left where asking brought nothing: the cut text at hand, if there is one. */
  private fallBack(sha256: string, problem: string, without: Body = { state: "missing" }): Body {
    const text = this.known().get(sha256);
    return text === undefined ? without : { state: "text", text, problem };
  }
}
