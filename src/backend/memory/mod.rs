//! Files in an ordered map of this process.
