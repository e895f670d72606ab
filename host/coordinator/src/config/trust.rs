//! What decides whom the coordinator trusts, and where it comes from (architecture, Trust): from the measured image. The
//! command line, the environment and the file of `--config` are the host's, against whom it is: they count in builds that can
//! simulate, where nothing is protected anyway, and are refused in any other, never ignored.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use carrara_core::OwnerCertificate;
use serde::Deserialize;

use crate::input;

/// The measured configuration. A fixed path, since whoever could choose another could leave it out.
pub(crate) const MEASURED: &str = "/etc/carrara/measured.toml";

/// Where Gramine has pseudo files of its own, which the host cannot take away. All other files are the host's there: what stands in them
/// is measured, but not that they are there.
const GRAMINE: &str = "/dev/attestation";

/// How this binary was built, and where its image keeps the measured configuration.
pub(super) struct Build<'a> {
    can_simulate: bool,
    measured: &'a Path,
    gramine: &'a Path,
}

/// The settings of the measured configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Measured {
    /// A file beside it, PEM.
    owner_cert: Option<String>,
}

impl<'a> Build<'a> {
    pub(super) fn this() -> Self {
        Self {
            can_simulate: cfg!(feature = "simulation"),
            measured: Path::new(MEASURED),
            gramine: Path::new(GRAMINE),
        }
    }

    #[cfg(test)]
    pub(super) fn of(can_simulate: bool, measured: &'a Path) -> Self {
        Self { can_simulate, measured, gramine: Path::new("/nowhere") }
    }

    /// The owner's certificate: of the file that was given, where that counts, else of the measured image.
    pub(super) fn owner(&self, given: Option<&Path>) -> Result<Option<OwnerCertificate>> {
        let measured = self.measured_owner()?;
        let path = match given {
            Some(_) if !self.can_simulate => bail!(
                "setting owner-cert: this build takes it from {} in the measured image only, since the host could leave it \
                 out here; put it there, or use a build for development",
                self.measured.display()
            ),
            Some(given) => Some(given.to_owned()),
            None => measured,
        };
        path.map(|path| read_owner(&path)).transpose()
    }

    /// Where the measured configuration has the owner's certificate.
    fn measured_owner(&self) -> Result<Option<PathBuf>> {
        let reading = || format!("reading the measured configuration {}", self.measured.display());
        let text = match input::read_text(self.measured) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.without(),
            Err(error) => return Err(error).with_context(reading),
        };
        let measured: Measured = toml::from_str(&text)
            .map_err(|error| anyhow!("{}", error.to_string().trim_end()))
            .with_context(reading)?;
        let Some(name) = measured.owner_cert.filter(|name| !name.is_empty()) else { return Ok(None) };
        let beside = matches!(Path::new(&name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
        if !beside {
            return Err(anyhow!(
                "owner-cert is \"{name}\": write the name of a file beside it, so that it is measured, too"
            ))
            .with_context(reading);
        }
        Ok(Some(self.measured.with_file_name(name)))
    }

    /// There is no measured configuration. Whether there is one is measured, too, but for Gramine.
    fn without(&self) -> Result<Option<PathBuf>> {
        if self.gramine.exists() {
            bail!(
                "there is no measured configuration {}: under Gramine the host could hide one, so it must be there, empty where there is \
                 no owner; build the enclave with examples/gramine/build, and start it with all of its files",
                self.measured.display()
            );
        }
        Ok(None)
    }
}

fn read_owner(path: &Path) -> Result<OwnerCertificate> {
    let text = input::read(path, input::SMALL)
        .with_context(|| format!("setting owner-cert: reading the owner's certificate {}", path.display()))?;
    OwnerCertificate::from_pem(&text)
        .with_context(|| format!("setting owner-cert: using the owner's certificate {}", path.display()))
}

#[cfg(test)]
mod tests;
