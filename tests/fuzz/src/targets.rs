//! The list of all targets, one file each.

mod shared;
mod templates;

/// A place where bytes of strangers are read.
pub struct Target {
    /// As in `cargo xtask fuzz --target`, and the name of its folders of seeds and regressions.
    pub name: &'static str,
    /// Reads an input; panics where something is wrong.
    pub run: fn(&[u8]),
    /// Inputs that have to be made, such as signed ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutations the tests try: fewer where one input takes long.
    pub mutations: usize,
}

/// One line per target: module, and how many mutations the tests try.
macro_rules! targets {
    ($($module:ident $mutations:literal)*) => {
        $(mod $module;)*

        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($module),
            run: $module::run,
            seeds: $module::seeds,
            mutations: $mutations,
        }),*];
    };
}

targets! {
    activation 1_000
    backup 5_000
    cli_address 5_000
    cli_attestation 5_000
    cli_chain 2_000
    cli_checkpoint 2_000
    cli_identity 1_000
    cli_manifest_file 2_000
    cli_recovery_key 500
    cli_recovery_secret 3_000
    cli_secret_uploads 5_000
    cli_token 5_000
    component 2_000
    csr 3_000
    evidence 5_000
    first_manifest 60
    go_template 2_000
    json_body 3_000
    key_file 2_000
    liquid 1_000
    manifest 1_000
    query 5_000
    recovery_data 3_000
    recovery_key 1_000
    recovery_shares 2_000
    rest 500
    rest_recovery 300
    sealed_record 2_000
    secret_uploads 3_000
    state_head 5_000
    state_mark 5_000
    state_values 3_000
    user_certificate 2_000
}

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
