// One call that both servers are asked, and what may be different about it.

/** A call; `<root>` in its arguments is the root of the side that is asked. */
export interface Row {
  tool: string;
  given: Record<string, unknown>;
  /** What is done to the tree before. */
  before?: (root: string) => Promise<unknown>;
  /** The file whose times are in the answer. */
  timesOf?: string;
}

/** A call where ours departs from the reference server, and why. */
export interface Difference extends Row {
  why: string;
  /** What is in the text of the reference server's answer; `error:` before a text says that it is an error. */
  reference: string | RegExp;
  /** Likewise for ours. */
  ours: string | RegExp;
  /** Files whose content differs afterwards. */
  files?: string[];
}

/** Calls of one tool. */
export const calls = (tool: string, ...given: Record<string, unknown>[]): Row[] =>
  given.map((each) => ({ tool, given: each }));

/** The name of a test. */
export function titleOf({ tool, given }: Row, index: number): string {
  const text = JSON.stringify(given);
  return `${index + 1} ${tool} ${text.length > 150 ? `${text.slice(0, 150)}…` : text}`;
}
