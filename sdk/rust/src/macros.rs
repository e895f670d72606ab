//! One macro for each world: makes a component of a function.

/// Makes a component of the world `role-authorization` of a function from
/// [`&authorization::Request`](crate::authorization::Request) to what becomes a [`Decision`](crate::Decision).
///
/// The second argument judges the entry's `Settings` when a manifest is set; without it there are none:
/// `authorizer!(authorize, settings::check::<MySettings>)`.
#[macro_export]
macro_rules! authorizer {
    ($decide:expr $(,)?) => {
        $crate::authorizer!($decide, $crate::settings::none);
    };
    ($decide:expr, $check:expr $(,)?) => {
        $crate::__policy!(authorization, Authorizer, $decide, $check, (
            fn decide(request: &$crate::authorization::Request) -> $crate::Decision {
                $crate::IntoDecision::into_decision(($decide)(request))
            }
        ));
    };
}

/// Makes a component of the world `marble-admission` of a function from [`&admission::Request`](crate::admission::Request)
/// to what becomes a [`Decision`](crate::Decision). The second argument is as for [`authorizer!`].
#[macro_export]
macro_rules! admitter {
    ($decide:expr $(,)?) => {
        $crate::admitter!($decide, $crate::settings::none);
    };
    ($decide:expr, $check:expr $(,)?) => {
        $crate::__policy!(admission, Admitter, $decide, $check, (
            fn decide(request: &$crate::admission::Request) -> $crate::Decision {
                $crate::IntoDecision::into_decision(($decide)(request))
            }
        ));
    };
}

/// Makes a component of the world `manifest-validation` of a function from
/// [`&validation::Proposal`](crate::validation::Proposal) to what becomes a list of
/// [`Finding`](crate::validation::Finding)s. The second argument is as for [`authorizer!`].
#[macro_export]
macro_rules! validator {
    ($decide:expr $(,)?) => {
        $crate::validator!($decide, $crate::settings::none);
    };
    ($decide:expr, $check:expr $(,)?) => {
        $crate::__policy!(validation, Validator, $decide, $check, (
            fn decide(
                proposal: &$crate::validation::Proposal,
            ) -> ::std::vec::Vec<$crate::validation::Finding> {
                $crate::validation::IntoFindings::into_findings(($decide)(proposal))
            }
        ));
    };
}

/// Makes a component of the world `secret-rendering` of a function from
/// [`&rendering::Template`](crate::rendering::Template) and [`&rendering::Secrets`](crate::rendering::Secrets) to
/// [`Chunk`](crate::rendering::Chunk)s. The second argument is as for [`authorizer!`].
#[macro_export]
macro_rules! renderer {
    ($decide:expr $(,)?) => {
        $crate::renderer!($decide, $crate::settings::none);
    };
    ($decide:expr, $check:expr $(,)?) => {
        $crate::__policy!(rendering, Renderer, $decide, $check, (
            fn decide(
                template: &$crate::rendering::Template,
                secrets: &$crate::rendering::Secrets,
            ) -> ::std::result::Result<
                ::std::vec::Vec<$crate::rendering::Chunk>,
                $crate::rendering::RenderError,
            > {
                $crate::rendering::IntoRendered::into_rendered(($decide)(template, secrets))
            }
        ));
    };
}

/// What the four have in common. Natively only the types are checked.
#[doc(hidden)]
#[macro_export]
macro_rules! __policy {
    ($world:ident, $role:ident, $decide:expr, $check:expr, ($($function:tt)*)) => {
        // Natively nobody calls it: only the types are checked.
        #[allow(
            dead_code,
            unsafe_code,
            unused_qualifications,
            clippy::all,
            clippy::pedantic,
            reason = "the ABI needs raw memory"
        )]
        const _: () = {
            struct Component;

            impl $crate::__private::$role for Component {
                $($function)*
            }

            impl $crate::__private::Check for Component {
                fn check(settings: &str) -> ::std::vec::Vec<$crate::settings::SettingsError> {
                    $crate::settings::IntoErrors::into_errors(($check)(settings))
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::__private::configured::export!(Component with_types_in $crate::__private::configured);
            #[cfg(target_arch = "wasm32")]
            $crate::__private::$world::export!(Component with_types_in $crate::__private::$world);
        };
    };
}
