//! Tables of cases: requests with the answers that are expected.
