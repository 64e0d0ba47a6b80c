// Large text lives in memory of the native side: it must stay as it is for as long as anybody holds the string, while
// the memory of those that nobody holds is used again.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { LocalFilesystemBackend } from "../ts/index.js";
import { temporaryDirectory } from "./support/backends.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

test.each([
  ["ASCII", "abc"],
  ["Latin-1", "é"],
  ["UTF-16", "日本 é abc 🎉"],
])("%s texts that are held keep their characters while others come and go", async (_, piece) => {
  const directory = await temporaryDirectory();
  const backend = new LocalFilesystemBackend({ rootDir: directory });
  const texts = Array.from({ length: 4 }, (_, at) => `${at}${piece.repeat(200_000)}${at}`);
  for (const [at, text] of texts.entries()) await backend.write(`${at}.txt`, text);
  const held: string[] = [];
  for (let round = 0; round < 40; round += 1) {
    const text = await backend.read(`${round % 4}.txt`);
    if (round % 10 === 0) held.push(text);
    if (round % 5 === 0) collect();
  }
  collect();
  await new Promise(setImmediate);
  for (const [at, text] of held.entries()) expect(text === texts[(at * 10) % 4]).toBe(true);
  await backend.destroy();
});
