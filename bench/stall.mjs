// How long the event loop stands still while something goes on.
import { performance } from "node:perf_hooks";

const TICK_MS = 1;
const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * The longest time, in milliseconds, by which a timer of 1 ms came late while `act` ran.
 * @param {() => Promise<unknown>} act
 */
export async function longestStall(act) {
  await after(20);
  let longest = 0;
  let last = performance.now();
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last - TICK_MS);
    last = now;
  };
  const timer = setInterval(tick, TICK_MS);
  try {
    await act();
    // What stood still last is only seen by the tick after it.
    await after(2 * TICK_MS);
    tick();
  } finally {
    clearInterval(timer);
  }
  return longest;
}
