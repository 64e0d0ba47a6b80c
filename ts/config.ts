// Checks what applications pass, before anything is done with it: JavaScript callers have no compiler, and a wrong
// option that is silently ignored is worse than an error. Every message names the field and what it should be.

import type { BatchOperation } from "./batch.js";
import {
  aBoolean,
  aboveZero,
  absolutePaths,
  aFunction,
  aPath,
  type Check,
  check,
  checkClosed,
  isObject,
  oneOf,
  optional,
  refuse,
  type Shape,
  text,
  textOrTexts,
  texts,
  wholeNumber,
} from "./checks.js";
import { BackendError, ERROR_CODES } from "./errors.js";
import type { CallToolParams } from "./mcp/types.js";
import type { LocalFilesystemBackendConfig, MemoryBackendConfig, ScopeConfig } from "./options.js";
import { printableLine } from "./printable.js";
import type { TextEdit } from "./types.js";

const isTorn = (text: string): boolean => /\p{Surrogate}/u.test(text);

/** Variables of commands; of a call also such as it removes. */
export const environment =
  (mayRemove: boolean): Check =>
  (value, name) => {
    if (!isObject(value)) refuse(name, "an object of variables", value);
    for (const [key, text] of Object.entries(value)) {
      if (key === "" || key.includes("=") || key.includes("\0")) {
        refuse(name, "names of variables without '=' and NUL", key);
      }
      // They have no bytes in UTF-8: another character would take their place.
      if (isTorn(key)) refuse(name, "names of variables without half a surrogate pair", key);
      if (text === undefined && mayRemove) continue;
      if (typeof text !== "string") refuse(`${name}.${printableLine(key)}`, "a string", text);
      if (text.includes("\0"))
        refuse(`${name}.${printableLine(key)}`, "a string without NUL characters", text);
      if (isTorn(text))
        refuse(`${name}.${printableLine(key)}`, "a string without half a surrogate pair", text);
    }
  };

/** What is told of operations. */
export const aLogger: Check = (value, name) => {
  if (!isObject(value) || typeof value["log"] !== "function") {
    refuse(name, "an object with a log() function", value);
  }
};

const content: Check = (value, name) => {
  if (typeof value !== "string" && !(value instanceof Uint8Array)) {
    refuse(name, "a string, Buffer or Uint8Array", value);
  }
};

const initialData: Check = (value, name) => {
  if (!isObject(value)) refuse(name, "an object of paths and contents", value);
  for (const [key, item] of Object.entries(value))
    content(item, `${name}[${printableLine(JSON.stringify(key))}]`);
};

const inheritEnv: Check = (value, name) => {
  const names = Array.isArray(value) && value.every((item) => typeof item === "string");
  if (typeof value !== "boolean" && !names) refuse(name, "a boolean or an array of names", value);
};

const anAbortSignal: Check = (value, name) => {
  if (
    !isObject(value) ||
    typeof value["addEventListener"] !== "function" ||
    !("aborted" in value)
  ) {
    refuse(name, "an AbortSignal", value);
  }
};

const network: Check = (value, name) => {
  if (value === "host" || value === "none") return;
  if (!isObject(value)) refuse(name, '"host", "none" or { allow: [hosts] }', value);
  checkClosed(value, { allow: texts }, name);
};

const SCOPE_LIMITS: Shape = {
  memoryBytes: optional(wholeNumber(8 * 1024 * 1024)),
  processes: optional(wholeNumber(1)),
  cpus: optional(aboveZero),
};

const LIMITS: Shape = {
  ...SCOPE_LIMITS,
  cpuSeconds: optional(aboveZero),
  fileSizeBytes: optional(wholeNumber(0)),
  openFiles: optional(wholeNumber(16)),
};

/** Limits, none of which may be passed over because it is spelt in another way. */
const limits =
  (shape: Shape): Check =>
  (value, name) =>
    checkClosed(value, shape, name);

const RULE: Shape = {
  match: (value, name) => {
    if (typeof value !== "string" || value === "") refuse(name, "a glob that is not empty", value);
  },
  allow: oneOf("none", "read", "write"),
  exec: optional(aBoolean),
};

const rules: Check = (value, name) => {
  if (!Array.isArray(value)) refuse(name, "an array of rules", value);
  for (const [index, rule] of value.entries()) {
    checkClosed(rule, RULE, `${name}[${index}]`);
  }
};

const POLICY: Shape = {
  rules: optional(rules),
  onRequest: optional(aFunction),
  // Longer timers do not exist.
  timeoutMs: optional(wholeNumber(1, 0x7fff_ffff)),
};

/** Rules and a hook. */
export const accessPolicy: Check = (value, name) => checkClosed(value, POLICY, name);

const LOCAL: Shape = {
  rootDir: aPath,
  isolation: optional(oneOf("auto", "bwrap", "landlock", "software", "none")),
  preventDangerous: optional(aBoolean),
  onDangerousOperation: optional(aFunction),
  maxOutputLength: optional(wholeNumber(1)),
  shell: optional(oneOf("bash", "sh", "auto")),
  validateUtils: optional(aBoolean),
  env: optional(environment(false)),
  inheritEnv: optional(inheritEnv),
  commandTimeoutMs: optional(wholeNumber(1)),
  stateDir: optional(aPath),
  scopeUid: optional(wholeNumber(1, 0xffff_fffe)),
  hostTools: optional(aBoolean),
  network: optional(network),
  readOnlyPaths: optional(absolutePaths),
  readWritePaths: optional(absolutePaths),
  hiddenPaths: optional(absolutePaths),
  limits: optional(limits(LIMITS)),
  scopeLimits: optional(limits(SCOPE_LIMITS)),
  maxBytes: optional(wholeNumber(0)),
  tmpBytes: optional(wholeNumber(0)),
  accessPolicy: optional(accessPolicy),
  operationsLogger: optional(aLogger),
};

const MEMORY: Shape = {
  rootDir: optional(aPath),
  initialData: optional(initialData),
  enableTTL: optional(aBoolean),
  ttlMs: optional(wholeNumber(1)),
  maxBytes: optional(wholeNumber(0)),
  accessPolicy: optional(accessPolicy),
  operationsLogger: optional(aLogger),
};

const SCOPE: Shape = {
  env: optional(environment(false)),
  maxBytes: optional(wholeNumber(0)),
  operationsLogger: optional(aLogger),
};

/** Checks the configuration of a local backend. Throws `INVALID_CONFIGURATION`, naming the field. */
export function validateLocalFilesystemBackendConfig(
  config: unknown,
): LocalFilesystemBackendConfig {
  check(config, LOCAL, "configuration");
  return config as LocalFilesystemBackendConfig;
}

/** Checks the configuration of a memory backend. Throws `INVALID_CONFIGURATION`, naming the field. */
export function validateMemoryBackendConfig(config: unknown = {}): MemoryBackendConfig {
  check(config, MEMORY, "configuration");
  return config as MemoryBackendConfig;
}

/** What a scope has from its backend, and cannot have otherwise: passing over it would leave a wall away in silence. */
const OF_THE_BACKEND = [
  "isolation",
  "network",
  "limits",
  "scopeLimits",
  "tmpBytes",
  "accessPolicy",
  "readOnlyPaths",
  "readWritePaths",
  "hiddenPaths",
  "commandTimeoutMs",
];

/** Checks what `scope()` is given. Throws `INVALID_CONFIGURATION`, naming the field. */
export function validateScopeConfig(config: unknown = {}): ScopeConfig {
  check(config, SCOPE, "scope configuration");
  const given = config as Record<string, unknown>;
  const misplaced = OF_THE_BACKEND.find((name) => given[name] !== undefined);
  if (misplaced !== undefined) {
    throw new BackendError(
      `scope configuration: ${misplaced}: a scope has that of its backend; give it to the backend`,
      ERROR_CODES.INVALID_CONFIGURATION,
    );
  }
  return config as ScopeConfig;
}

const SEARCH: Shape = {
  cwd: optional(text),
  exclude: optional(texts),
  gitignore: optional(aBoolean),
  hidden: optional(aBoolean),
  maxResults: optional(wholeNumber(1)),
  timeoutMs: optional(wholeNumber(1)),
  signal: optional(anAbortSignal),
};

const COMMAND: Shape = {
  encoding: optional(oneOf("utf8", "buffer")),
  cwd: optional(text),
  env: optional(environment(true)),
  timeoutMs: optional(wholeNumber(1)),
  signal: optional(anAbortSignal),
  maxOutputLength: optional(wholeNumber(1)),
  limits: optional(limits(LIMITS)),
  onStdout: optional(aFunction),
  onStderr: optional(aFunction),
};

/** The shapes of the options of each call. */
const CALLS = {
  read: {
    encoding: optional(oneOf("utf8", "buffer")),
    offset: optional(wholeNumber(0)),
    length: optional(wholeNumber(0)),
  },
  write: {
    append: optional(aBoolean),
    createOnly: optional(aBoolean),
    ifMatch: optional(text),
    mode: optional(wholeNumber(0, 0o7777)),
    durability: optional(oneOf("process", "disk")),
    ttlMs: optional(wholeNumber(1)),
  },
  rm: { recursive: optional(aBoolean), force: optional(aBoolean) },
  mkdir: { recursive: optional(aBoolean) },
  exec: { ...COMMAND, stdin: optional(content) },
  spawn: {
    ...COMMAND,
    stdin: optional((value, name) => {
      if (value !== "pipe" && !(value instanceof Uint8Array))
        refuse(name, '"pipe" or a Uint8Array', value);
    }),
  },
  edit: { dryRun: optional(aBoolean), ifMatch: optional(text) },
  glob: { ...SEARCH, directories: optional(aBoolean) },
  grep: {
    ...SEARCH,
    literal: optional(aBoolean),
    ignoreCase: optional(aBoolean),
    word: optional(aBoolean),
    multiline: optional(aBoolean),
    glob: optional(textOrTexts),
    context: optional(wholeNumber(0)),
    beforeContext: optional(wholeNumber(0)),
    afterContext: optional(wholeNumber(0)),
    maxCountPerFile: optional(wholeNumber(1)),
  },
  tree: { ...SEARCH, maxDepth: optional(wholeNumber(1)) },
  callTool: {
    signal: optional(anAbortSignal),
    timeout: optional(wholeNumber(1)),
    maxTotalTimeout: optional(wholeNumber(1)),
    onprogress: optional(aFunction),
    resetTimeoutOnProgress: optional(aBoolean),
  },
} satisfies Record<string, Shape>;

/** The calls whose options {@link checkOptions} knows. */
export type CheckedCall = keyof typeof CALLS;

/**
 * Checks the options of a call; `undefined` is fine. Throws `INVALID_CONFIGURATION`, naming call and field.
 * @internal
 */
export function checkOptions(call: CheckedCall, options: unknown): void {
  if (options !== undefined) check(options, CALLS[call], `${call} options`, `${call} options.`);
}

/** @internal Checks an argument that must be text (a path, a command, a pattern). */
export function checkText(call: string, name: string, value: unknown): asserts value is string {
  if (typeof value !== "string") refuse(`${call}: ${name}`, "a string", value);
}

/** @internal Checks an argument that must be content. */
export function checkContent(call: string, value: unknown): asserts value is string | Uint8Array {
  content(value, `${call}: content`);
}

/**
 * Checks what `callTool` is given, and gives the arguments as JSON text.
 * @internal
 */
export function checkToolCall(params: CallToolParams): string {
  if (!isObject(params)) refuse("callTool: params", "an object with name and arguments", params);
  checkText("callTool", "name", params.name);
  const given: unknown = params.arguments;
  if (given === undefined) return "{}";
  if (!isObject(given)) refuse("callTool: arguments", "an object", given);
  try {
    return JSON.stringify(given);
  } catch (error) {
    throw new BackendError(
      `callTool: arguments: they cannot be written as JSON: ${error instanceof Error ? error.message : error}`,
      ERROR_CODES.INVALID_CONFIGURATION,
      "callTool",
      { cause: error },
    );
  }
}

const EDIT: Shape = { oldText: text, newText: text, replaceAll: optional(aBoolean) };

/**
 * Checks the edits of `edit`: one, or an array of at least one. Throws `INVALID_CONFIGURATION`, naming the field.
 * @internal
 */
export function checkEdits(edits: unknown): asserts edits is TextEdit | TextEdit[] {
  const list = Array.isArray(edits) ? edits : [edits];
  if (list.length === 0) refuse("edit: edits", "at least one edit", edits);
  for (const [index, edit] of list.entries()) {
    const name = Array.isArray(edits) ? `edits[${index}]` : "edits";
    check(edit, EDIT, `edit: ${name}`, `edit: ${name}.`);
    if ((edit as TextEdit).oldText === "")
      refuse(`edit: ${name}.oldText`, "a text that is not empty", "");
  }
}

/** What each operation of a batch holds besides `op`. */
const BATCH: Readonly<Record<BatchOperation["op"], Shape>> = {
  read: { path: text, ...CALLS.read },
  write: { path: text, content, ...CALLS.write },
  stat: { path: text },
  lstat: { path: text },
  exists: { path: text },
  readdir: { path: text },
  readdirWithStats: { path: text },
  touch: { path: text },
  mkdir: { path: text, ...CALLS.mkdir },
  rm: { path: text, ...CALLS.rm },
  rename: { oldPath: text, newPath: text },
};

/**
 * Checks what `batch` is given. Throws `INVALID_CONFIGURATION`, naming operation and field.
 * @internal
 */
export function checkBatch(operations: unknown): asserts operations is readonly BatchOperation[] {
  if (!Array.isArray(operations)) refuse("batch: operations", "an array", operations);
  for (const [index, operation] of operations.entries()) {
    const name = `batch: operations[${index}]`;
    check(operation, { op: oneOf(...Object.keys(BATCH)) }, name, `${name}.`);
    const { op, ...rest } = operation as BatchOperation;
    check(rest, BATCH[op], name, `${name}.`);
  }
}
