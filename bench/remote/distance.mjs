// A daemon behind a delaying proxy, and what one round trip to it really takes.
import { fork } from "node:child_process";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { median } from "../statistics.mjs";

const script = fileURLToPath(new URL("delay.mjs", import.meta.url));

/** Starts the proxy in front of a port. */
export function delayed(port, roundTripMs) {
  const child = fork(script, [String(port), String(roundTripMs)], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.stdout.once("data", (text) => {
      const stop = () => child.kill("SIGKILL");
      resolve({ port: Number(text), stop });
    });
  });
}

/** The median round trip of a byte through the proxy to an echo, in milliseconds. */
export async function roundTrip(roundTripMs, times = 11) {
  const echo = net.createServer({ noDelay: true }, (socket) => socket.pipe(socket));
  await new Promise((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const proxy = await delayed(echo.address().port, roundTripMs);
  const socket = net.connect({ port: proxy.port, host: "127.0.0.1", noDelay: true });
  const once = () =>
    new Promise((resolve) => {
      const began = performance.now();
      socket.once("data", () => resolve(performance.now() - began));
      socket.write("x");
    });
  await once();
  const seen = [];
  for (let time = 0; time < times; time += 1) seen.push(await once());
  socket.destroy();
  proxy.stop();
  echo.close();
  return median(seen);
}
