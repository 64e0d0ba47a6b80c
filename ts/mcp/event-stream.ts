// Server-sent events, as far as MCP needs them: each event's data is one JSON-RPC message.

/** Takes the text of a stream piece by piece, and gives the data of each event that is complete. */
export class EventReader {
  #rest = "";
  #data: string[] = [];

  /** The data of the events that this piece completes. */
  read(piece: string): string[] {
    const events: string[] = [];
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const ended of lines) {
      const line = ended.endsWith("\r") ? ended.slice(0, -1) : ended;
      if (line === "") {
        if (this.#data.length > 0) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return events;
  }
}
