//! Glue between `wit/` and [`Rego`]: one component for three worlds.

use crate::Rego;

carrara_policy_language::guest!(Rego, authorizer, admitter, validator);
