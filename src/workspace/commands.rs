//! Commands: judged, started, collected within bounds, and ended.
