//! Looks at a component: what it is, imports and exports.
