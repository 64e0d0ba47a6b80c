// What the checks of configurations are made of: each names the field that is wrong and what it should be.

import { BackendError, ERROR_CODES } from "./errors.js";
import { printableLine } from "./printable.js";
import { likely } from "./spelling.js";

export type Check = (value: unknown, name: string) => void;

export type Shape = Readonly<Record<string, Check>>;

export function refuse(name: string, expected: string, value: unknown): never {
  throw new BackendError(
    `${name}: expected ${expected}, got ${describe(value)}`,
    ERROR_CODES.INVALID_CONFIGURATION,
  );
}

export function describe(value: unknown): string {
  if (typeof value === "string") {
    const text = value.length > 60 ? `${value.slice(0, 60)}…` : value;
    return printableLine(JSON.stringify(text));
  }
  if (value === null || typeof value === "number" || typeof value === "boolean") {
    return String(value);
  }
  if (value === undefined) {
    return "nothing";
  }
  return Array.isArray(value)
    ? "an array"
    : `${typeof value === "object" ? "an" : "a"} ${typeof value}`;
}

export const optional =
  (check: Check): Check =>
  (value, name) => {
    if (value !== undefined) check(value, name);
  };

export const aBoolean: Check = (value, name) => {
  if (typeof value !== "boolean") refuse(name, "a boolean", value);
};

export const aFunction: Check = (value, name) => {
  if (typeof value !== "function") refuse(name, "a function", value);
};

export const aPath: Check = (value, name) => {
  if (typeof value !== "string" || value === "") refuse(name, "a path that is not empty", value);
  if ((value as string).includes("\0")) refuse(name, "a path without NUL characters", value);
};

export const wholeNumber =
  (least: number, most = Number.MAX_SAFE_INTEGER): Check =>
  (value, name) => {
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
      const range =
        most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
      refuse(name, `a whole number ${range}`, value);
    }
  };

export const oneOf =
  (...choices: string[]): Check =>
  (value, name) => {
    if (typeof value !== "string" || !choices.includes(value)) {
      refuse(name, `one of ${choices.map((choice) => `"${choice}"`).join(", ")}`, value);
    }
  };

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const texts: Check = (value, name) => {
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
    refuse(name, "an array of strings", value);
  }
};

export const absolutePaths: Check = (value, name) => {
  texts(value, name);
  for (const [index, item] of (value as string[]).entries()) {
    if (!item.startsWith("/") || item.includes("\0"))
      refuse(`${name}[${index}]`, "an absolute path", item);
  }
};

export const text: Check = (value, name) => {
  if (typeof value !== "string") refuse(name, "a string", value);
};

export const textOrTexts: Check = (value, name) => {
  if (typeof value !== "string") texts(value, name);
};

/**
 * Checks an object against a shape. A field that looks like a known one spelt wrong is refused: who writes `isolaton`
 * must not run without. Other unknown fields are left alone, as the published package does.
 */
export function check(value: unknown, shape: Shape, what: string, prefix = ""): void {
  if (!isObject(value)) refuse(what, "an object", value);
  for (const name of Object.keys(value)) {
    const meant = Object.hasOwn(shape, name) ? undefined : likely(name, Object.keys(shape));
    if (meant !== undefined) {
      throw new BackendError(
        `${prefix}${printableLine(name)}: there is no such option; did you mean "${meant}"?`,
        ERROR_CODES.INVALID_CONFIGURATION,
      );
    }
  }
  for (const [name, verify] of Object.entries(shape)) verify(value[name], prefix + name);
}

export const aboveZero: Check = (value, name) => {
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0)
    refuse(name, "a number above 0", value);
};

/** Checks an object in which every field counts: one that nobody knows might have been meant to forbid something. */
export function checkClosed(value: unknown, shape: Shape, name: string): void {
  check(value, shape, name, `${name}.`);
  const unknown = Object.keys(value as object).find((field) => !Object.hasOwn(shape, field));
  if (unknown !== undefined) {
    const known = Object.keys(shape).join(", ");
    throw new BackendError(
      `${name}.${printableLine(unknown)}: there is no such field; there are ${known}`,
      ERROR_CODES.INVALID_CONFIGURATION,
    );
  }
}
