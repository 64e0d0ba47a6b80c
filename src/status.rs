//! Whether a backend can be used, and whoever wants to know when that changes.

/// The life of a backend. Local and memory backends are born `Connected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not connected, and not trying to.
    Disconnected,
    /// The first connection is being made.
    Connecting,
    /// Ready.
    Connected,
    /// The connection was lost and is being made again.
    Reconnecting,
    /// `destroy` was called: every later call fails with `DESTROYED`.
    Destroyed,
}

impl Status {
    /// The text form of the public API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Disconnected => "disconnected",
            Status::Connecting => "connecting",
            Status::Connected => "connected",
            Status::Reconnecting => "reconnecting",
            Status::Destroyed => "destroyed",
        }
    }
}
