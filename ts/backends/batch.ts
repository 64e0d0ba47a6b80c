// From the operations of a batch to those of the native side, and back.

import type { BatchOperation, BatchResult } from "../batch.js";
import { checkBatch } from "../config.js";
import type { BackendError } from "../errors.js";
import {
  defined,
  type NativeBatchOperation,
  type NativeBatchValue,
  type NativeWorkspace,
  rethrown,
  unjoined,
} from "../native.js";
import { statsFrom } from "../stats.js";
import { entriesFrom, writeFlags } from "./files.js";

type NativeList = Awaited<ReturnType<NativeWorkspace["listWithStats"]>>;

const RECURSIVE = 1;
const FORCE = 2;

/** Runs operations one after another, in one call of the native side. */
export async function runBatch(
  native: NativeWorkspace,
  operations: readonly BatchOperation[],
): Promise<BatchResult[]> {
  checkBatch(operations);
  try {
    const outcomes = await native.batch(operations.map(nativeOperation));
    return outcomes.map(([isDone, value], index) => {
      const operation = operations[index] as BatchOperation;
      return isDone
        ? ({ ok: true, value: valueFrom(operation, value) } as BatchResult)
        : { ok: false, error: rethrown(value) as BackendError };
    });
  } catch (error) {
    throw rethrown(error);
  }
}

function nativeOperation(operation: BatchOperation): NativeBatchOperation {
  const { op } = operation;
  switch (op) {
    case "read": {
      const { path, encoding, offset, length } = operation;
      const asText = encoding !== "buffer";
      return defined<NativeBatchOperation>({ op, path, asText, offset, length });
    }
    case "write": {
      const { path, content, ifMatch, mode, ttlMs } = operation;
      const flags = writeFlags(operation);
      return defined<NativeBatchOperation>({ op, path, content, flags, ifMatch, mode, ttlMs });
    }
    case "mkdir":
      return { op, path: operation.path, flags: (operation.recursive ?? true) ? RECURSIVE : 0 };
    case "rm": {
      const { path, recursive, force } = operation;
      return { op, path, flags: (recursive ? RECURSIVE : 0) | (force ? FORCE : 0) };
    }
    case "rename":
      return { op, path: operation.oldPath, to: operation.newPath };
    default:
      return { op, path: operation.path };
  }
}

/** What the call of the same name gives. */
function valueFrom({ op }: BatchOperation, value: NativeBatchValue): unknown {
  switch (op) {
    case "stat":
    case "lstat": {
      const [row, etag] = value as [Float64Array, string | undefined];
      return statsFrom(row, 0, etag);
    }
    case "readdir":
      return unjoined((value as NativeList)[0]);
    case "readdirWithStats":
      return entriesFrom(value as NativeList);
    default:
      return value;
  }
}
