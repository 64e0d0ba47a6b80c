//! What is counted, as Prometheus reads it. Every label is one of ours: nothing that a request says becomes one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::workspace::{Observer, OperationRecord};

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /health`
    Health,
    /// `GET /metrics`
    Metrics,
    /// `POST /mcp`
    Mcp,
    /// `WS /ssh`
    Ssh,
    /// Nowhere.
    Other,
}

const ENDPOINTS: [(Endpoint, &str); 5] = [
    (Endpoint::Health, "health"),
    (Endpoint::Metrics, "metrics"),
    (Endpoint::Mcp, "mcp"),
    (Endpoint::Ssh, "ssh"),
    (Endpoint::Other, "other"),
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// All counters of a daemon.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: [[AtomicU64; 5]; 5],
    /// Accepted since the start.
    pub connections: AtomicU64,
    /// Open now.
    pub open_connections: AtomicU64,
    /// Refused, because there were too many.
    pub refused_connections: AtomicU64,
    /// From clients.
    pub received_bytes: AtomicU64,
    /// To clients.
    pub sent_bytes: AtomicU64,
    /// Requests without a good token.
    pub unauthorized: AtomicU64,
    operations: Mutex<BTreeMap<&'static str, Outcomes>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    succeeded: u64,
    failed: u64,
}

impl Observer for Metrics {
    fn operation(&self, record: &OperationRecord<'_>) {
        let mut operations = self
            .operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let outcomes = operations.entry(record.operation).or_default();
        if record.error.is_some() {
            outcomes.failed += 1;
        } else {
            outcomes.succeeded += 1;
        }
    }
}

impl Metrics {
    /// A request was answered.
    pub fn answered(&self, endpoint: Endpoint, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        let at = ENDPOINTS.iter().position(|(known, _)| *known == endpoint);
        if let Some(counter) = at.and_then(|at| self.requests.get(at)?.get(class)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The text of `GET /metrics`.
    #[must_use]
    pub fn text(&self, running_commands: Option<usize>) -> String {
        let mut text = String::new();
        let describe = |text: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(
                text,
                "# HELP agent_backend_{name} {help}\n# TYPE agent_backend_{name} {kind}"
            );
        };
        describe(&mut text, "requests_total", "counter", "Requests answered.");
        for ((_, endpoint), counters) in ENDPOINTS.iter().zip(&self.requests) {
            for (class, counter) in CLASSES.iter().zip(counters) {
                let count = counter.load(Ordering::Relaxed);
                let _ = writeln!(
                    text,
                    "agent_backend_requests_total{{endpoint=\"{endpoint}\",status=\"{class}\"}} {count}"
                );
            }
        }
        for (name, kind, help, value) in [
            (
                "connections_total",
                "counter",
                "Connections accepted.",
                &self.connections,
            ),
            (
                "connections_open",
                "gauge",
                "Connections open.",
                &self.open_connections,
            ),
            (
                "connections_refused_total",
                "counter",
                "Connections refused because there were too many.",
                &self.refused_connections,
            ),
            (
                "received_bytes_total",
                "counter",
                "Bytes received.",
                &self.received_bytes,
            ),
            (
                "sent_bytes_total",
                "counter",
                "Bytes sent.",
                &self.sent_bytes,
            ),
            (
                "unauthorized_total",
                "counter",
                "Requests without a good token.",
                &self.unauthorized,
            ),
        ] {
            describe(&mut text, name, kind, help);
            let _ = writeln!(
                text,
                "agent_backend_{name} {}",
                value.load(Ordering::Relaxed)
            );
        }
        if let Some(running) = running_commands {
            describe(&mut text, "commands_running", "gauge", "Commands that run.");
            let _ = writeln!(text, "agent_backend_commands_running {running}");
        }
        describe(
            &mut text,
            "operations_total",
            "counter",
            "Operations, by name.",
        );
        let operations = self
            .operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (name, outcomes) in operations.iter() {
            for (outcome, count) in [("ok", outcomes.succeeded), ("error", outcomes.failed)] {
                let _ = writeln!(
                    text,
                    "agent_backend_operations_total{{operation=\"{name}\",outcome=\"{outcome}\"}} {count}"
                );
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_endpoint_and_class() {
        let metrics = Metrics::default();
        metrics.answered(Endpoint::Mcp, 200);
        metrics.answered(Endpoint::Mcp, 204);
        metrics.answered(Endpoint::Other, 404);
        metrics.answered(Endpoint::Ssh, 101);
        let text = metrics.text(Some(3));
        for line in [
            "agent_backend_requests_total{endpoint=\"mcp\",status=\"2xx\"} 2",
            "agent_backend_requests_total{endpoint=\"other\",status=\"4xx\"} 1",
            "agent_backend_requests_total{endpoint=\"ssh\",status=\"1xx\"} 1",
            "agent_backend_commands_running 3",
            "# TYPE agent_backend_connections_open gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
    }
}
