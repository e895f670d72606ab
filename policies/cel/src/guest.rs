//! Glue between `wit/` and [`Cel`]: one component for three worlds.

use crate::Cel;

carrara_policy_language::guest!(Cel, authorizer, admitter, validator);
