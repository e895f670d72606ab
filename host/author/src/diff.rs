//! Where two components answer differently.
