// MCP calls over HTTP from many kept connections, written and read without a client library, so that what is measured
// is the server.
import net from "node:net";
import { AUTHORIZATION } from "./daemons.mjs";

const BODY = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "read_text_file", arguments: { path: "small.txt" } },
});
const REQUEST = [
  "POST /mcp HTTP/1.1",
  "Host: 127.0.0.1",
  AUTHORIZATION,
  "Content-Type: application/json",
  "Accept: application/json, text/event-stream",
  "MCP-Protocol-Version: 2025-06-18",
  `Content-Length: ${Buffer.byteLength(BODY)}`,
  "",
  BODY,
].join("\r\n");

/** Where the answer at the start of `text` ends; 0 while it is not whole. */
function endOf(text) {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return 0;
  const headers = text.slice(0, head).toLowerCase();
  const length = /content-length: (\d+)/.exec(headers);
  if (length !== null) {
    const end = head + 4 + Number(length[1]);
    return text.length >= end ? end : 0;
  }
  const end = text.indexOf("0\r\n\r\n", head + 4);
  return end < 0 ? 0 : end + 5;
}

/** Makes `count` calls over `connections` connections, each waiting for its answer; gives calls per second. */
export async function callsPerSecond(port, { connections, count }) {
  let left = count;
  const client = () =>
    new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
      let text = "";
      const next = () => {
        if (left <= 0) {
          socket.destroy();
          resolve();
          return;
        }
        left -= 1;
        socket.write(REQUEST);
      };
      socket.setEncoding("latin1");
      socket.on("connect", next);
      socket.on("error", reject);
      socket.on("close", () => reject(new Error("the server closed the connection")));
      socket.on("data", (more) => {
        text += more;
        const end = endOf(text);
        if (end === 0) return;
        if (!text.startsWith("HTTP/1.1 200") || !text.includes("file 1 KiB")) {
          reject(new Error(`a call failed: ${text.slice(0, 300)}`));
          return;
        }
        text = text.slice(end);
        next();
      });
    });
  const began = performance.now();
  await Promise.all(Array.from({ length: connections }, client));
  return count / ((performance.now() - began) / 1000);
}

/** The file that the calls read. */
export const SMALL = `file 1 KiB ${"x".repeat(1013)}`;
