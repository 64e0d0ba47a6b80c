//! The log of a daemon, on standard error. Only what this project says is in it: libraries speak of headers.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{fmt, registry};

use super::arguments::{LogFormat, LogOptions};

/// Begins to log. A second time changes nothing.
pub(super) fn start(options: LogOptions) {
    let level = LevelFilter::from_level(options.level);
    let ours = filter_fn(move |metadata| {
        *metadata.level() <= level && metadata.target().starts_with("agent_backend")
    });
    let layer = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false);
    // A second subscriber is refused, and the first goes on.
    let _ = match options.format {
        LogFormat::Text => {
            let subscriber = registry().with(layer.with_filter(ours));
            tracing::subscriber::set_global_default(subscriber)
        }
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false);
            let subscriber = registry().with(layer.with_span_list(false).with_filter(ours));
            tracing::subscriber::set_global_default(subscriber)
        }
    };
}
