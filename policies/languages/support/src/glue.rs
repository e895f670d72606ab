//! Glue between `wit/` and a [`crate::Language`]: words in, a document; an answer, words out.
//!
//! Macros, since each guest generates its own bindings: a component exports no more worlds than its language answers for.

/// Makes a component of a language: the type, and the worlds that it answers for: `authorizer`, or `authorizer, admitter, validator`.
/// The path of `wit/` is as the language's crate sees it.
#[macro_export]
macro_rules! guest {
    ($language:ty, authorizer) => {
        $crate::bindings!(
            "
            package carrara:languages;
            world language {
                import carrara:policy/host@1.0.0;
                export carrara:policy/configuration@1.0.0;
                export carrara:policy/role-authorizer@1.0.0;
            }
        "
        );
        $crate::answers!($language, authorizer);
    };
    ($language:ty, authorizer, admitter, validator) => {
        $crate::bindings!(
            "
            package carrara:languages;
            world language {
                import carrara:policy/host@1.0.0;
                export carrara:policy/configuration@1.0.0;
                export carrara:policy/manifest-validator@1.0.0;
                export carrara:policy/role-authorizer@1.0.0;
                export carrara:policy/marble-admitter@1.0.0;
            }
        "
        );
        $crate::answers!($language, authorizer, admitter, validator);
    };
}

/// What `wit-bindgen` generates from a world, for [`guest!`].
#[doc(hidden)]
#[macro_export]
macro_rules! bindings {
    ($world:tt) => {
        /// What `wit-bindgen` generates from the world.
        #[allow(
            unsafe_code,
            missing_docs,
            unreachable_pub,
            clippy::all,
            reason = "generated: the ABI needs raw memory"
        )]
        mod bindings {
            wit_bindgen::generate!({ path: "../../wit", generate_all, inline: $world });
            use super::Component;
            export!(Component);
        }
    };
}

/// The component's answers, for [`guest!`].
#[doc(hidden)]
#[macro_export]
macro_rules! answers {
    ($language:ty, $($export:ident),+) => {
        use $crate::serde_json::{Map, Value, json};
        use bindings::carrara::policy::host::{self, Level};
        use bindings::carrara::policy::types;
        use bindings::exports::carrara::policy::configuration;

        /// The component's exports.
        struct Component;

        impl configuration::Guest for Component {
            fn check(settings: String) -> Result<(), Vec<configuration::SettingsError>> {
                log_panics();
                let wit = |error: $crate::SettingsError| configuration::SettingsError {
                    line: error.place.line,
                    column: error.place.column,
                    message: error.message,
                    hint: error.hint,
                };
                $crate::check::<$language>(&settings)
                    .map_err(|errors| errors.into_iter().map(wit).collect())
            }
        }

        $($crate::export!($export, $language);)+

        /// A guest that panics traps, and the host denies; the text would be lost.
        fn log_panics() {
            std::panic::set_hook(Box::new(|panic| host::log(Level::Warn, &panic.to_string())));
        }

        fn log_failure(failure: &$crate::Failure) {
            host::log(Level::Warn, &failure.0);
        }

        fn fact_value(value: types::Value) -> Value {
            match value {
                types::Value::Text(text) => text.into(),
                types::Value::Number(number) => number.into(),
                types::Value::Truth(truth) => truth.into(),
                types::Value::Bytes(bytes) => $crate::hex::encode(bytes).into(),
                types::Value::Texts(texts) => texts.into(),
            }
        }

        fn facts(facts: Vec<types::Fact>) -> Value {
            facts.into_iter().map(|fact| (fact.name, fact_value(fact.value))).collect::<Map<_, _>>().into()
        }

        /// The members that every document has.
        fn document(context: types::Context) -> Map<String, Value> {
            let mut document = Map::new();
            document.insert("now".to_owned(), context.now.into());
            document.insert("revision".to_owned(), context.revision.into());
            document.insert("facts".to_owned(), facts(context.facts));
            document
        }

        #[allow(dead_code, reason = "admitters have no principal")]
        fn principal(principal: types::Principal) -> Value {
            let role = |role: types::Role| {
                json!({
                    "name": role.name,
                    "resource_type": role.resource_type,
                    "resource_names": role.resource_names,
                    "actions": role.actions,
                })
            };
            json!({
                "name": principal.name,
                "certificate_sha256": $crate::hex::encode(principal.certificate_sha256),
                "roles": principal.roles.into_iter().map(role).collect::<Vec<_>>(),
            })
        }

        #[allow(dead_code, reason = "validators answer with findings")]
        fn decision(answer: Result<Option<$crate::Denial>, $crate::Failure>) -> types::Decision {
            let denial = match answer {
                Ok(None) => return types::Decision::Allow,
                Ok(Some(denial)) => denial,
                Err(failure) => {
                    log_failure(&failure);
                    $crate::failed()
                }
            };
            types::Decision::Deny(types::Denial {
                code: denial.code,
                message: denial.message,
                hint: denial.hint,
                resources: denial.resources,
            })
        }
    };
}

/// One export of [`guest!`].
#[doc(hidden)]
#[macro_export]
macro_rules! export {
    (authorizer, $language:ty) => {
        impl bindings::exports::carrara::policy::role_authorizer::Guest for Component {
            fn authorize(
                request: bindings::exports::carrara::policy::role_authorizer::Request,
            ) -> types::Decision {
                log_panics();
                let settings = request.context.settings.clone();
                let mut document = document(request.context);
                document.insert("principal".to_owned(), principal(request.principal));
                document.insert("action".to_owned(), request.action.into());
                document.insert("resource_type".to_owned(), request.resource_type.into());
                document.insert("resource_names".to_owned(), request.resource_names.into());
                decision($crate::decide::<$language>(&settings, &document.into()))
            }
        }
    };
    (admitter, $language:ty) => {
        impl bindings::exports::carrara::policy::marble_admitter::Guest for Component {
            fn admit(
                request: bindings::exports::carrara::policy::marble_admitter::Request,
            ) -> types::Decision {
                log_panics();
                let settings = request.context.settings.clone();
                let mut document = document(request.context);
                let evidence = request.evidence.map(|evidence| {
                    json!({
                        "tee": evidence.tee,
                        "debug": evidence.debug,
                        "tcb_status": evidence.tcb_status,
                        "advisories": evidence.advisories,
                        "identity": facts(evidence.identity),
                    })
                });
                document.insert("marble_type".to_owned(), request.marble_type.into());
                document.insert("package_name".to_owned(), request.package_name.into());
                document.insert("uuid".to_owned(), request.uuid.into());
                document.insert("evidence".to_owned(), evidence.into());
                document.insert("dns_names".to_owned(), request.dns_names.into());
                document.insert("ip_addresses".to_owned(), request.ip_addresses.into());
                document.insert("activations".to_owned(), request.activations.into());
                document.insert("max_activations".to_owned(), request.max_activations.into());
                decision($crate::decide::<$language>(&settings, &document.into()))
            }
        }
    };
    (validator, $language:ty) => {
        use bindings::exports::carrara::policy::manifest_validator as validator;

        impl validator::Guest for Component {
            fn validate(proposal: validator::Proposal) -> Vec<validator::Finding> {
                log_panics();
                let settings = proposal.context.settings.clone();
                let findings = proposal_document(proposal)
                    .and_then(|document| $crate::validate::<$language>(&settings, &document))
                    .unwrap_or_else(|failure| {
                        log_failure(&failure);
                        vec![$crate::failed_finding()]
                    });
                findings.into_iter().map(finding).collect()
            }
        }

        fn proposal_document(proposal: validator::Proposal) -> Result<Value, $crate::Failure> {
            let read = |text: &str| {
                $crate::serde_json::from_str::<Value>(text)
                    .map_err(|error| $crate::Failure(format!("reading the manifest: {error}")))
            };
            let versions = proposal.current_versions.into_iter();
            let versions = versions.map(|version| (version.name, version.security_version.into()));
            let mut document = document(proposal.context);
            document.insert("change".to_owned(), proposal.change.into());
            document.insert("manifest".to_owned(), read(&proposal.manifest)?);
            document.insert(
                "manifest_sha256".to_owned(),
                $crate::hex::encode(proposal.manifest_sha256).into(),
            );
            document.insert(
                "current".to_owned(),
                proposal.current.map(|current| read(&current)).transpose()?.into(),
            );
            document.insert("current_versions".to_owned(), versions.collect::<Map<_, _>>().into());
            document.insert("proposer".to_owned(), proposal.proposer.map(principal).into());
            Ok(document.into())
        }

        fn finding(finding: $crate::Finding) -> validator::Finding {
            validator::Finding {
                severity: if finding.warning {
                    validator::Severity::Warning
                } else {
                    validator::Severity::Error
                },
                code: finding.code,
                path: finding.path,
                message: finding.message,
                hint: finding.hint,
            }
        }
    };
}
