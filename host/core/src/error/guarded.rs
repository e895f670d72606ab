//! What the caller of an update made sure of does not hold (policy.md, In the manifest).

/// Nobody, or too few, could update the manifest again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the update would lock everybody out, and was refused: {0}; give users a role of type Manifest with the action \
     UpdateManifest, let every policy allow it, or repeat the request without lockout=refuse"
)]
pub struct Lockout(pub String);

/// Another manifest came into force since the caller looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "another manifest is in force than the one that this update was made against: read the manifest in force, look at what \
     changes, and repeat the request"
)]
pub struct OtherBase;
