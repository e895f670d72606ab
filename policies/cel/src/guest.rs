//! Glue between `wit/` and [`Cel`]: one component for three worlds.

use crate::Cel;

/// What `wit-bindgen` generates from the worlds.
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated: the ABI needs raw memory"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        generate_all,
        inline: "
            package carrara:languages;
            world cel {
                import carrara:policy/host@1.0.0;
                export carrara:policy/configuration@1.0.0;
                export carrara:policy/manifest-validator@1.0.0;
                export carrara:policy/role-authorizer@1.0.0;
                export carrara:policy/marble-admitter@1.0.0;
            }
        ",
    });
    use super::Component;
    export!(Component);
}

carrara_policy_language::guest!(Cel, authorizer, admitter, validator);
