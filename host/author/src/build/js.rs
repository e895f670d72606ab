//! Building policies in JavaScript.

use super::{BuildError, Task};

pub(super) fn build(task: &Task<'_>) -> Result<Vec<u8>, BuildError> {
    let step = format!("building {}", task.project.name);
    Err(BuildError::Failed { step, what: "this language is not built yet".to_owned() })
}
