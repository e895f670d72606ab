//! Reads JSON by the rules M-1..M-10 and X-9, keeping positions.
