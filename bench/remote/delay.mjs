// A TCP proxy, in a process of its own, that holds every byte back for half a round trip in each direction and loses
// none: what a distance costs, without a network.
//
// node bench/remote/delay.mjs <port to connect to> <milliseconds of round trip>; prints the port it listens on.
import net from "node:net";

const [target, roundTrip] = process.argv.slice(2).map(Number);
const oneWay = roundTrip / 2;

/** Passes data on when its time has come, in order, and then the end. */
function later(from, to) {
  const queue = [];
  let timer;
  const flush = () => {
    timer = undefined;
    // A timer may be early by less than a millisecond.
    while (queue.length > 0 && queue[0].due <= performance.now() + 0.2) {
      const { data } = queue.shift();
      if (data === undefined) to.end();
      else to.write(data);
    }
    if (queue.length > 0) wait();
  };
  const wait = () => {
    timer = setTimeout(flush, Math.max(0, queue[0].due - performance.now()));
  };
  const put = (data) => {
    queue.push({ due: performance.now() + oneWay, data });
    if (timer === undefined) wait();
  };
  from.on("data", put);
  from.on("end", () => put(undefined));
  from.on("error", () => to.destroy());
  from.on("close", () => setTimeout(() => to.destroy(), oneWay * 2));
}

const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const upstream = net.connect({
    port: target,
    host: "127.0.0.1",
    allowHalfOpen: true,
    noDelay: true,
  });
  later(client, upstream);
  later(upstream, client);
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
process.on("disconnect", () => process.exit());
