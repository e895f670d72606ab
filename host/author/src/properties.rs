//! Properties that every policy of a world should have.
