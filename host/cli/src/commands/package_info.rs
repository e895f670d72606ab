//! `package-info PATH`: the identity of a signed SGX enclave, read from its file, for a manifest or an attestation policy.
//!
//! Reads files only and verifies no signature: whoever trusts what it prints trusts the file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use carrara_client::sigstruct::{OE_SECTION, SDK_SECTION, SIGSTRUCT_BYTES, Sigstruct, section};
use clap::Args;
use serde_json::json;

use crate::output::{Output, warn};

/// Where `occlum build` leaves the signed library OS, in its instance's folder.
const OCCLUM: &str = "build/lib/libocclum-libos.signed.so";

/// Gramine's files hold a SIGSTRUCT and nothing else; whatever is much longer is another file.
const MOST_SIG_BYTES: u64 = 64 << 10;

/// Print the identity of a signed SGX enclave
///
/// PATH is an executable of EGo or Open Enclave, a .sig file of Gramine, an enclave of Occlum or Intel's SDK
/// (libocclum-libos.signed.so), or the folder of a Gramine application or an Occlum instance.
#[derive(Debug, Args)]
#[command(after_help = HINT)]
pub(crate) struct PackageInfo {
    /// File or folder
    path: PathBuf,
}

const HINT: &str = "\
In a manifest, UniqueID names exactly this build; the other three name every build of its signer from this
version on:

  \"Packages\": { \"NAME\": { \"UniqueID\": \"...\" } }
  \"Packages\": { \"NAME\": { \"SignerID\": \"...\", \"ProductID\": 1, \"SecurityVersion\": 2 } }

What --output json prints fits in place of { ... }, and is an attestation policy for --era-config.";

pub(crate) fn run(command: &PackageInfo, output: &mut Output) -> Result<()> {
    let path = enclave_file(&command.path)?;
    let found = read(&path)?;
    let (unique_id, signer_id) = (hex::encode(found.unique_id), hex::encode(found.signer_id));
    if found.debug {
        warn(&format!(
            "{} is signed for debug mode, in which an enclave protects nothing; a package for it needs \"Debug\": true",
            path.display()
        ));
    }
    output.line(&format!("UniqueID (MRENCLAVE)      : {unique_id}"))?;
    output.line(&format!("SignerID (MRSIGNER)       : {signer_id}"))?;
    output.line(&format!("ProductID (ISVPRODID)     : {}", found.product_id))?;
    output.line(&format!("SecurityVersion (ISVSVN)  : {}", found.security_version))?;
    output.result(&json!({
        "UniqueID": unique_id,
        "SignerID": signer_id,
        "ProductID": found.product_id,
        "SecurityVersion": found.security_version,
    }))
}

/// The file that is meant by a path.
fn enclave_file(path: &Path) -> Result<PathBuf> {
    let metadata = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok(path.to_owned());
    }
    let occlum = path.join(OCCLUM);
    if occlum.exists() {
        return Ok(occlum);
    }
    let mut signatures = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))? {
        let file = entry.with_context(|| format!("reading {}", path.display()))?.path();
        if file.extension().is_some_and(|extension| extension == "sig") && file.is_file() {
            signatures.push(file);
        }
    }
    signatures.sort();
    match signatures.as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!(
            "the folder {} has neither {OCCLUM} (Occlum) nor a file *.sig (Gramine); sign the enclave first (`occlum \
             build`, `gramine-sgx-sign`), or name its file",
            path.display()
        ),
        [first, second, ..] => bail!(
            "the folder {} has several files *.sig, such as {} and {}; name the one that is meant",
            path.display(),
            first.display(),
            second.display()
        ),
    }
}

fn read(path: &Path) -> Result<Sigstruct> {
    let opened = || -> std::io::Result<(File, bool)> {
        let mut file = File::open(path)?;
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(4).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        Ok((file, magic == b"\x7fELF"))
    };
    let (file, is_elf) = opened().with_context(|| format!("reading {}", path.display()))?;
    if is_elf { of_elf(path, file) } else { of_signature(path, file) }
}

fn of_elf(path: &Path, file: File) -> Result<Sigstruct> {
    let found = section(file, &[OE_SECTION, SDK_SECTION]);
    let Some((name, content)) = found.with_context(|| format!("reading {}", path.display()))? else {
        bail!(
            "{} is no SGX enclave: it has neither a section {OE_SECTION} (EGo, Open Enclave) nor {SDK_SECTION} (Occlum, \
             Intel's SDK); for Gramine name the file *.sig",
            path.display()
        )
    };
    Sigstruct::find(&content).with_context(|| {
        format!(
            "{} has a section {name}, but no whole SIGSTRUCT in it: it is not signed; sign it with `ego sign`, `oesign \
             sign` or `occlum build`, and name the signed file",
            path.display()
        )
    })
}

fn of_signature(path: &Path, file: File) -> Result<Sigstruct> {
    let mut content = Vec::new();
    file.take(MOST_SIG_BYTES)
        .read_to_end(&mut content)
        .with_context(|| format!("reading {}", path.display()))?;
    Sigstruct::find(&content).with_context(|| {
        format!(
            "{} is neither an ELF file nor holds a SIGSTRUCT ({SIGSTRUCT_BYTES} bytes, as `gramine-sgx-sign` writes it to \
             *.sig); name the signed enclave or its signature",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use carrara_client::sigstruct::fixtures::{debug_sigstruct, elf, sigstruct};
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::output::Format;
    use crate::output::tests::Kept;

    fn info(path: &Path, format: Format) -> Result<String> {
        let kept = Kept::default();
        run(&PackageInfo { path: path.to_owned() }, &mut kept.output(format))?;
        Ok(kept.text())
    }

    fn lines() -> String {
        format!(
            "UniqueID (MRENCLAVE)      : {}\nSignerID (MRSIGNER)       : {}\nProductID (ISVPRODID)     : 263\n\
             SecurityVersion (ISVSVN)  : 515\n",
            "ab".repeat(32),
            hex::encode(Sha256::digest([0x11; 384]))
        )
    }

    fn written(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    // cli.md section 3
    #[test]
    fn the_identity_is_found_where_each_tool_puts_it() {
        let folder = tempfile::tempdir().unwrap();
        let within = [&[7; 100][..], &sigstruct(), &[0; 9]].concat();
        let ego = written(folder.path(), "service", &elf(".oeinfo", &within));
        let sdk = written(folder.path(), "enclave.signed.so", &elf(".note.sgxmeta", &within));
        let gramine = written(folder.path(), "gramine/service.sig", &sigstruct());
        written(folder.path(), "gramine/service.manifest.sgx", b"text");
        written(folder.path(), &format!("occlum/{OCCLUM}"), &elf(".note.sgxmeta", &within));
        let (gramine_folder, occlum) = (folder.path().join("gramine"), folder.path().join("occlum"));
        for path in [ego, sdk, gramine, gramine_folder, occlum] {
            assert_eq!(info(&path, Format::Text).unwrap(), lines(), "{}", path.display());
        }
    }

    #[test]
    fn what_programs_read_is_a_package_and_a_policy() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), "a.sig", &debug_sigstruct());
        let text = info(&path, Format::Json).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["ProductID"], 263);
        let policy = carrara_client::AttestationPolicy::from_json(text.as_bytes()).unwrap();
        assert_eq!((policy.security_version, policy.unique_id), (515, "ab".repeat(32)));
        let manifest = format!("{{\"Packages\":{{\"a\":{text}}}}}");
        let manifest = carrara_types::manifest::ParsedManifest::parse(manifest.as_bytes()).unwrap();
        assert_eq!(manifest.packages["a"].security_version, Some(515));
        assert!(manifest.warnings.is_empty());
    }

    #[test]
    fn what_is_no_signed_enclave_is_refused_with_file_and_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str, content: &[u8]| {
            let path = written(folder.path(), name, content);
            let error = format!("{:#}", info(&path, Format::Text).unwrap_err());
            assert!(error.contains(name), "{error}");
            error
        };
        assert!(refused("unsigned", &elf(".oeinfo", &[0; 4096])).contains("`ego sign`"));
        assert!(refused("cut", &elf(".oeinfo", &sigstruct()[..1800])).contains("no whole SIGSTRUCT"));
        let other = refused("program", &elf(".text", &sigstruct()));
        assert!(other.contains(".oeinfo") && other.contains(".note.sgxmeta"), "{other}");
        assert!(refused("damaged", &elf(".oeinfo", &sigstruct())[..100]).contains("damaged"));
        assert!(refused("text.sig", b"text").contains("gramine-sgx-sign"));
        assert!(refused("empty", b"").contains("gramine-sgx-sign"));
        let missing = info(&folder.path().join("nothing"), Format::Text).unwrap_err();
        assert!(missing.to_string().contains("nothing"), "{missing}");
    }

    #[test]
    fn of_a_folder_there_must_be_one_candidate() {
        let folder = tempfile::tempdir().unwrap();
        let empty = info(folder.path(), Format::Text).unwrap_err().to_string();
        assert!(
            empty.contains(OCCLUM) && empty.contains("*.sig") && empty.contains("name its file"),
            "{empty}"
        );
        written(folder.path(), "a.sig", &sigstruct());
        assert_eq!(info(folder.path(), Format::Text).unwrap(), lines());
        written(folder.path(), "b.sig", &sigstruct());
        let several = info(folder.path(), Format::Text).unwrap_err().to_string();
        assert!(several.contains("a.sig") && several.contains("b.sig"), "{several}");
    }
}
