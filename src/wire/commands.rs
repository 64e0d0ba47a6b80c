//! Many commands over one long-lived channel, with flow control for each.
