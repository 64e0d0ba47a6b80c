/**
 * Marks a transport that its backend closes by itself. A registered symbol, so that an adapter sees it which was loaded
 * through another entry of this package.
 */
export const CLOSES_WITH_BACKEND = Symbol.for("agent-backend.transport.closes-with-backend");
