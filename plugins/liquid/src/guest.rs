//! The component: [`crate::render`] behind the world `secret-rendering`.

carrara_plugin_support::renderer!("liquid", crate::render);
