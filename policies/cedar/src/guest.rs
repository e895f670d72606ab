//! Glue between `wit/` and [`Cedar`].

use crate::Cedar;

/// What `wit-bindgen` generates from the world.
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
            world cedar {
                import carrara:policy/host@1.0.0;
                export carrara:policy/configuration@1.0.0;
                export carrara:policy/role-authorizer@1.0.0;
            }
        ",
    });
    use super::Component;
    export!(Component);
}

carrara_policy_language::guest!(Cedar, authorizer);
