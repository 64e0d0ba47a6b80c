//! Walking and matching, shared by every backend that has the files at hand.
