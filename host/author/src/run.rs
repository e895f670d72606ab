//! Asks a component one request.
