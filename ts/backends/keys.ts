// The calls of a key/value store, which memory backends and their scopes have.

import { checkText } from "../config.js";
import { type NativeWorkspace, rethrown, unjoined } from "../native.js";

/** All keys that begin with a text. */
export async function listKeys(native: NativeWorkspace, prefix: string): Promise<string[]> {
  checkText("list", "prefix", prefix);
  try {
    return unjoined(await native.keys(prefix));
  } catch (error) {
    throw rethrown(error);
  }
}

/** Deletes a key, whether it is there or not. */
export async function deleteKey(native: NativeWorkspace, key: string): Promise<void> {
  checkText("delete", "key", key);
  try {
    await native.deleteKey(key);
  } catch (error) {
    throw rethrown(error);
  }
}

/** Deletes all keys. */
export async function clearKeys(native: NativeWorkspace): Promise<void> {
  try {
    await native.clear();
  } catch (error) {
    throw rethrown(error);
  }
}
