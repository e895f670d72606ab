//! The component: [`crate::render`] behind the world `secret-rendering`.

carrara_plugin_support::renderer!("go-template", crate::render);
