//! Exact replacement in files.
