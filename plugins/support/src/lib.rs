//! What the built-in policies share: their settings, the glue to `wit/`, and the words of the renderers.
//!
//! A guest's `guest.rs` is one macro and what its world alone needs: [`renderer!`] for renderers, whose glue is the same,
//! [`guest!`] for the others. Everything that names generated code is compiled for WebAssembly only.

mod failure;
#[cfg(target_arch = "wasm32")]
pub mod renderer;
pub mod secrets;
mod settings;

pub use failure::Failure;
pub use settings::{SETTINGS_HINT, check_settings};

/// Makes the module's `Component` the exports of a world, with the bindings in `bindings` and without settings; the
/// guest implements what the world exports besides.
///
/// The world's name and the policy's: `guest!("role-authorization", "rbac")`. The guest needs `wit-bindgen` itself.
#[macro_export]
macro_rules! guest {
    ($world:literal, $policy:literal) => {
        /// What `wit-bindgen` generates from the world.
        #[allow(
            unsafe_code,
            missing_docs,
            unreachable_pub,
            clippy::all,
            reason = "generated: the ABI needs raw memory"
        )]
        mod bindings {
            wit_bindgen::generate!({ path: "../../wit", world: $world });
            use super::Component;
            export!(Component);
        }

        /// The component's exports.
        struct Component;

        impl bindings::exports::carrara::policy::configuration::Guest for Component {
            fn check(
                settings: String,
            ) -> Result<(), Vec<bindings::exports::carrara::policy::configuration::SettingsError>> {
                use bindings::exports::carrara::policy::configuration::SettingsError;
                $crate::check_settings($policy, &settings).map_err(|message| {
                    let hint = Some($crate::SETTINGS_HINT.to_owned());
                    vec![SettingsError { line: 1, column: 1, message, hint }]
                })
            }
        }
    };
}

/// Makes a component of a function that renders one template, as `Renderer::render` in `renderer.rs`.
///
/// The policy's name and the function: `renderer!("liquid", crate::render)`.
#[macro_export]
macro_rules! renderer {
    ($policy:literal, $render:path) => {
        /// The component's exports.
        struct Component;

        impl $crate::renderer::Renderer for Component {
            const NAME: &'static str = $policy;

            fn render(
                text: &[u8],
                target: $crate::renderer::Target,
                secrets: &dyn $crate::secrets::Secrets,
            ) -> Result<Vec<$crate::renderer::Chunk>, $crate::Failure> {
                $render(text, target, secrets)
            }
        }

        /// What `wit-bindgen` generates from the world.
        #[allow(unsafe_code, unreachable_pub, clippy::all, reason = "generated: the ABI needs raw memory")]
        mod exports {
            use super::Component;
            use $crate::renderer::bindings;
            bindings::export!(Component with_types_in bindings);
        }
    };
}
