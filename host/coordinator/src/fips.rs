//! The cryptographic module: a build with the feature `fips` uses the validated one, or does not start.
//!
//! What the module does not do is listed in host/docs/cryptography.md.

use anyhow::{Result, bail};
use tracing::info;

/// Says which module it is, and makes it test itself where it must be the validated one.
///
/// # Errors
/// It must be, and is not, or fails its own tests.
pub(crate) fn check() -> Result<()> {
    let validated = aws_lc_rs::try_fips_mode().is_ok();
    check_module(cfg!(feature = "fips"), validated, || aws_lc_rs::try_fips_self_test().is_ok())?;
    info!(fips = validated, library = aws_lc_rs::awslc_version(), "cryptographic module");
    Ok(())
}

fn check_module(wanted: bool, validated: bool, passes_its_tests: impl Fn() -> bool) -> Result<()> {
    if !wanted {
        return Ok(());
    }
    if !validated {
        bail!(
            "this build must use the validated cryptographic module, which is not in FIPS mode here; use the module as it \
             was built, or a build without the feature `fips`"
        );
    }
    if !passes_its_tests() {
        bail!("the cryptographic module fails its own tests on this machine; do not use it here");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_for_the_validated_module_starts_with_nothing_else() {
        assert!(check_module(false, false, || false).is_ok());
        assert!(check_module(true, true, || true).is_ok());
        let text =
            |validated, passes: bool| check_module(true, validated, move || passes).unwrap_err().to_string();
        assert!(text(false, true).contains("FIPS mode"));
        assert!(text(true, false).contains("its own tests"));
    }

    #[test]
    fn the_module_is_the_one_that_this_build_asks_for() {
        assert_eq!(aws_lc_rs::try_fips_mode().is_ok(), cfg!(feature = "fips"));
        check().unwrap();
    }
}
