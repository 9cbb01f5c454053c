/** Bodies that a saved run does not hold, from the kernel that made it, while that lives. */

import type { Kernel } from "@jupyterlab/services";
import type { BodySource } from "./view/bodies";
import { BODIES_TARGET } from "./view/protocol";

const WAIT = 10_000; // ms

type Resolve = (text: string | null) => void;

export class KernelBodies implements BodySource {
  private readonly waiting = new Map<string, Resolve>();
  private comm: Kernel.IComm | null = null;

  constructor(
    private readonly run: string,
    private readonly kernel: () => Kernel.IKernelConnection | null | undefined,
  ) {}

  fetch(sha256: string): Promise<string | null> {
    const comm = this.open();
    if (!comm) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.waiting.set(sha256, resolve);
      setTimeout(() => reject(new Error("The kernel did not answer in 10 s; it may be busy.")), WAIT);
      comm.send({ cmd: "body", sha256 });
    });
  }

  private open(): Kernel.IComm | null {
    const kernel = this.kernel();
    if (!kernel || kernel.status === "dead") return null;
    if (!this.comm || this.comm.isDisposed) this.comm = this.connect(kernel);
    return this.comm;
  }

  private connect(kernel: Kernel.IKernelConnection): Kernel.IComm {
    const comm = kernel.createComm(BODIES_TARGET);
    comm.onMsg = ({ content: { data } }) => this.answer(String(data.sha256), data.text as string | null);
    comm.onClose = () => this.close();
    comm.open({ run: this.run });
    return comm;
  }

  private answer(sha256: string, text: string | null): void {
    this.waiting.get(sha256)?.(text);
    this.waiting.delete(sha256);
  }

  /** A kernel that knows nothing of the run closes the comm. */
  private close(): void {
    this.comm = null;
    for (const sha256 of [...this.waiting.keys()]) this.answer(sha256, null);
  }
}
