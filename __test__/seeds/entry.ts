// What is said of a sample, and the only ways in which it may be changed.

/** The only kinds of substitution that are allowed. */
export const KINDS = [
  "host",
  "credentials",
  "model",
  "...",
  "missing declaration",
  "missing return",
  "path prefix",
  // A command that needs the internet becomes the same command on something that is here.
  "network",
  // A call that the sample says is refused would end the program: it is caught, and the refusal is checked.
  "refusal",
] as const;

/** One substitution; the pattern must occur in the sample. */
export interface Substitution {
  kind: (typeof KINDS)[number];
  pattern: RegExp;
  replacement: string;
}

/** How one sample is treated. */
export interface Entry {
  id: string;
  what: string;
  /** Not run before this. */
  waits?: string;
  /** Runs beside a daemon that serves the workspace, with these SSH users; `DAEMON` says where it is. */
  daemon?: { sshUsers?: string };
  substitutions?: Substitution[];
  /** Declarations that the sample takes for granted; `ROOT` is the workspace's directory. */
  before?: string;
  /** Shows what the sample did. */
  after?: string;
  /** What is printed: each must occur. */
  prints?: (string | RegExp)[];
}
