//! Glue between `wit/` and [`Cedar`].

use crate::Cedar;

carrara_policy_language::guest!(Cedar, authorizer);
