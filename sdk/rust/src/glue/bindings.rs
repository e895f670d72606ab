//! What `wit-bindgen` generates. The worlds share the words, the host's functions and the check of settings.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated: the ABI needs raw memory"
)]

pub mod words {
    wit_bindgen::generate!({
        path: ["wit", "worlds"],
        world: "carrara:sdk/words",
        generate_all,
        generate_unused_types: true,
        disable_custom_section_link_helpers: true,
    });
}

macro_rules! world {
    ($module:ident, $world:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: ["wit", "worlds"],
                world: $world,
                pub_export_macro: true,
                generate_all,
                disable_custom_section_link_helpers: true,
                with: {
                    "carrara:policy/types@1.0.0": crate::glue::bindings::words::carrara::policy::types,
                    "carrara:policy/host@1.0.0": crate::glue::bindings::words::carrara::policy::host,
                },
            });
        }
    };
}

world!(authorization, "carrara:sdk/authorization");
world!(admission, "carrara:sdk/admission");
world!(validation, "carrara:sdk/validation");
world!(rendering, "carrara:sdk/rendering");

pub mod configured {
    wit_bindgen::generate!({
        path: ["wit", "worlds"],
        world: "carrara:sdk/configured",
        pub_export_macro: true,
        generate_all,
        disable_custom_section_link_helpers: true,
    });
}
