// The life of a backend: who is told when it ends, and what ends with it.

import { aFunction } from "../checks.js";
import { type NativeStatusChange, rethrown } from "../native.js";
import {
  type Closeable,
  ConnectionStatus,
  type StatusChangeCallback,
  type StatusChangeEvent,
  type Unsubscribe,
} from "../types.js";

/** Something that ends when its parent does. */
interface Dependent {
  destroy(): Promise<void>;
}

/** What knows a backend's status, and tells where it changes by itself. */
export interface StatusSource {
  status(): string;
  /** Tells one listener of changes; `undefined` ends that. */
  watchStatus(listener: ((change: NativeStatusChange) => void) | undefined): void;
}

/** What a backend ends with itself, and whom it tells. */
export class Life {
  readonly #owner: Dependent;
  readonly #parent: Life | undefined;
  readonly #source: StatusSource;
  readonly #listeners = new Set<StatusChangeCallback>();
  readonly #closeables = new Set<Closeable>();
  readonly #dependents = new Set<Dependent>();
  #end: Promise<void> | undefined;
  /** What the listeners know. */
  #status: string = ConnectionStatus.CONNECTED;

  constructor(owner: Dependent, parent: Life | undefined, source: StatusSource) {
    this.#owner = owner;
    this.#parent = parent;
    this.#source = source;
  }

  /** Calls back when the status changes. */
  onStatusChange(callback: StatusChangeCallback): Unsubscribe {
    aFunction(callback, "onStatusChange: callback");
    // Wrapped, so that a callback that is subscribed twice has two subscriptions.
    const listener: StatusChangeCallback = (event) => callback(event);
    if (this.#listeners.size === 0 && this.#end === undefined) {
      const status = this.#source.status();
      if (status !== ConnectionStatus.DESTROYED) this.#status = status;
      this.#source.watchStatus((change) => this.#changed(change));
    }
    this.#listeners.add(listener);
    this.#depend();
    return () => {
      if (!this.#listeners.delete(listener)) return;
      if (this.#listeners.size === 0) this.#source.watchStatus(undefined);
      this.#release();
    };
  }

  /** The connection changed by itself. That the backend is gone is told once all has ended. */
  #changed({ to, timestamp, error }: NativeStatusChange): void {
    if (to === ConnectionStatus.DESTROYED || to === this.#status) return;
    const from = this.#status;
    this.#status = to;
    const cause = error === undefined ? {} : { error: rethrown(error) as Error };
    this.#tell({
      from: from as ConnectionStatus,
      to: to as ConnectionStatus,
      timestamp,
      ...cause,
    });
  }

  /** Closes something at the end; at once where the end has come. */
  trackCloseable(closeable: Closeable): void {
    if (this.#end !== undefined) {
      void close(closeable);
      return;
    }
    this.#closeables.add(closeable);
    this.#depend();
  }

  /** The closeable was closed already: nothing of it stays here. */
  untrackCloseable(closeable: Closeable): void {
    if (this.#closeables.delete(closeable)) this.#release();
  }

  /** Ends everything, once: first `refuse`, which makes every later call fail. */
  end(refuse: () => Promise<void>): Promise<void> {
    this.#end ??= this.#run(refuse);
    return this.#end;
  }

  async #run(refuse: () => Promise<void>): Promise<void> {
    const refused = refuse();
    const ended = [...this.#dependents].map((dependent) => dependent.destroy());
    const closed = [...this.#closeables].map(close);
    this.#dependents.clear();
    this.#closeables.clear();
    const parent = this.#parent;
    if (parent !== undefined) {
      parent.#dependents.delete(this.#owner);
      parent.#release();
    }
    // Each has its own outcome: one that fails must not leave the others open.
    const outcomes = await Promise.allSettled([refused, ...ended, ...closed]);
    this.#source.watchStatus(undefined);
    this.#tell({
      from: this.#status as ConnectionStatus,
      to: ConnectionStatus.DESTROYED,
      timestamp: Date.now(),
    });
    this.#listeners.clear();
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) {
      throw failed.reason;
    }
  }

  #tell(event: StatusChangeEvent): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener({ ...event });
      } catch {
        // The others are told all the same: what has happened has, whatever a listener says to it.
      }
    }
  }

  /** From now on the parent must end this too. Until then it may be forgotten like any object. */
  #depend(): void {
    if (this.#parent !== undefined && this.#end === undefined) {
      this.#parent.#dependents.add(this.#owner);
      this.#parent.#depend();
    }
  }

  /** The parent need not end this any more, where nobody would notice. */
  #release(): void {
    const idle = this.#listeners.size + this.#closeables.size + this.#dependents.size === 0;
    if (this.#parent !== undefined && idle) {
      this.#parent.#dependents.delete(this.#owner);
      this.#parent.#release();
    }
  }
}

async function close(closeable: Closeable): Promise<void> {
  try {
    await closeable.close();
  } catch {
    // What a resource says while it goes must not keep the backend from going.
  }
}
