//! Recorded decisions against another component.
