//! Finding by name and by content.
